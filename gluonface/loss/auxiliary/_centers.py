"""Class centres that are moved by the centre loss's own rule, not by gradient."""

from __future__ import annotations

import collections
import typing

import numpy as np

from ... import _compat
from ._base import Parameter
from ._embedding import EmbeddingLoss

__all__ = ["CenterTracker", "alpha_parameter"]


def alpha_parameter():
    """Return the declaration of the centres' step size."""
    return Parameter(
        0.5,
        "how far the centres move towards a batch's embeddings",
        more="0 keeps them where they are.",
        low=0.0,
        high=1.0,
        why="beyond 1 a centre would overshoot; 0 keeps the centres where they are",
    )


class CenterTracker(EmbeddingLoss):
    r"""Template: a loss that keeps a centre of each class, as the centre loss does.

    After each batch in training, that is under `autograd.record`, the centres of its classes move:

    .. math:: c_j \leftarrow c_j - \alpha \frac{\sum_{y_i = j} (c_j - x_i)}{1 + n_j}

    They begin at zero. The loss of a batch uses the centres from before it.
    """

    needs = ("num_classes", "embedding_size")
    keeps = "a centre per class"
    centers: typing.Any = None
    # Of each batch of the last step the classes whose centres moved, and their former values.
    _moved: typing.Any = None

    def _create(self, rng):
        self.centers = _compat.mx.nd.zeros((self.num_classes, self.embedding_size), ctx=self.ctx)
        self.begin()

    def losses(self, x, labels):
        """Return the losses (N,); see `EmbeddingLoss.losses`."""
        return self.formula(_compat.mx.nd, x, self.own_centers(x, labels))

    def own_centers(self, x, labels):
        """Return the centres (N, D) of the samples' classes, and move them when training."""
        nd = _compat.mx.nd
        with _compat.mx.autograd.pause():
            own = nd.take(self.centers, nd.array(labels, ctx=self.ctx, dtype="int64"))
        if _compat.mx.autograd.is_training():
            with _compat.mx.autograd.pause():
                self._move(x.detach(), labels)
        return own

    def _move(self, x, labels):
        nd = _compat.mx.nd
        classes, place, counts = np.unique(labels, return_inverse=True, return_counts=True)
        member = nd.array(place[None, :] == np.arange(len(classes))[:, None], ctx=self.ctx)
        n = nd.array(counts[:, None], ctx=self.ctx)
        where = nd.array(classes, ctx=self.ctx, dtype="int64")
        old = nd.take(self.centers, where)
        shift = (old * n - nd.dot(member, x)) / (1.0 + n)
        self.centers[where] = old - self.alpha * shift
        self._moved.append((where, old))

    def begin(self, batches=1):
        """Begin a step of so many batches."""
        self._moved = collections.deque(maxlen=batches)

    def undo(self):
        """Move the centres of the last step's batches back."""
        while self._moved:
            where, old = self._moved.pop()  # the latest first: a class may be in several
            self.centers[where] = old

    def state_dict(self):
        """Return the centres as a NumPy array."""
        return {"centers": self.centers.asnumpy()}

    def load_state_dict(self, state):
        """Set the centres to those of a `state_dict`; call `initialize` before."""
        self.centers[:] = self._stored(state, "centers", (self.num_classes, self.embedding_size))
