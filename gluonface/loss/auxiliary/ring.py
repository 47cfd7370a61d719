"""Ring loss: the lengths of embeddings approach one learned length."""

import numpy as np

from ... import _compat
from ._base import AUXILIARY, declare, weight_parameter
from ._embedding import LearnedLoss
from ._formulas import lengths

__all__ = ["Ring"]


@AUXILIARY.register("ring")
class Ring(LearnedLoss):
    r"""Half the squared difference between an embedding's length and a learned radius.

    .. math:: L_i = \tfrac{1}{2} (\lVert x_i \rVert - R)^2

    R is a parameter that the optimizer trains. It begins as the mean length of the first batch,
    of all processes.

    Notes
    -----
    `formula` takes embeddings (N, D) and R (1,).

    It matters to losses that depend on the length, such as softmax. A head of cosines does not:
    there the loss only keeps lengths in range, which helps float16. gluon-face starts with R = 1,
    so that the embeddings shrink first.
    """

    title = "Ring loss"
    authors = "Zheng, Pal, Savvides"
    paper = "Ring loss: Convex Feature Normalization for Face Recognition"
    year = 2018
    arxiv = "1803.00130"
    formula_text = "1/2 (|x| - R)^2"
    parameters = declare(
        weight=weight_parameter(0.01, "It is the lambda of the paper's experiments.")
    )

    started = False  # whether R has its first value
    _step = 1  # batches of a step
    _since = 0  # batches since that one

    def _create(self, rng):
        self.started = False
        self._parameter("radius", [0.0])

    def formula(self, F, x, radius):
        """Return the losses (N,) of embeddings (N, D) and the radius (1,)."""
        return 0.5 * F.square(F.broadcast_sub(lengths(F, x), radius))

    def losses(self, x, labels):
        """Return the losses (N,); see `EmbeddingLoss.losses`."""
        if not self.ready:
            self.initialize(comm=self.comm, ctx=x.context)
        self._since += 1
        if not self.started:
            with _compat.mx.autograd.pause():
                radius = lengths(_compat.mx.nd, x.detach()).mean().reshape((1,))
                self._learned["radius"].set_data(radius)
            self.started, self._since = True, 0
        return self.formula(_compat.mx.nd, x, self.value("radius"))

    def begin(self, batches=1):
        """Begin a step of so many batches."""
        self._step = batches

    def undo(self):
        """Let the next batch give R's first value, if a batch of the last step did."""
        if self.started and self._since < self._step:
            self.started = False
            self._learned["radius"].set_data(_compat.mx.nd.zeros((1,)))

    def state_dict(self):
        """Return R, and whether it has its first value."""
        if not self.ready:
            return {}
        return {**super().state_dict(), "started": np.int64(self.started)}

    def load_state_dict(self, state):
        """Set R to that of a `state_dict`."""
        if not self.ready:
            self.initialize(comm=self.comm)
        super().load_state_dict(state)
        self.started = bool(state.get("started", True))
        self._since = self._step  # `undo` is not to change it
