"""Ring loss: the lengths of embeddings approach one learned length."""

from ... import _compat
from ._base import AUXILIARY, declare, weight_parameter
from ._embedding import StartedLoss
from ._formulas import lengths

__all__ = ["Ring"]


@AUXILIARY.register("ring")
class Ring(StartedLoss):
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

    first = "radius"

    def formula(self, F, x, radius):
        """Return the losses (N,) of embeddings (N, D) and the radius (1,)."""
        return 0.5 * F.square(F.broadcast_sub(lengths(F, x), radius))

    def losses(self, x, labels):
        """Return the losses (N,); see `EmbeddingLoss.losses`."""
        if not self.ready:
            self.initialize(comm=self.comm, ctx=x.context)
        nd = _compat.mx.nd
        self.next_batch(lambda: lengths(nd, x.detach()).mean().reshape((1,)))
        return self.formula(_compat.mx.nd, x, self.value("radius"))
