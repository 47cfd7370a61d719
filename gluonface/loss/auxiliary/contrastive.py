"""Contrastive loss: pairs of an identity together, others apart to a margin."""

import numpy as np

from ... import _compat
from ._base import AUXILIARY, Parameter, declare, weight_parameter
from ._embedding import EmbeddingLoss
from ._formulas import pair_distances, root, squared, unit

__all__ = ["Contrastive"]


@AUXILIARY.register("contrastive")
class Contrastive(EmbeddingLoss):
    r"""Squared distance of pairs of one identity, squared hinge of the distance of others.

    .. math:: L = y D^2 + (1 - y) [m - D]_+^2, \qquad D = \lVert x_1 - x_2 \rVert

    with y = 1 for a pair of one identity. Called with embeddings and labels, the loss of a sample
    is its mean over the batch's other samples of its class, plus its mean over those of other
    classes; a mean over none is 0.

    Notes
    -----
    `formula` takes given pairs: x1 (N, D), x2 (N, D) and same (N,), 1 or 0.

    The paper has a factor 1/2 on both terms; use half the weight for it. A pair of two identities
    at distance 0 has the gradient 0. gluon-face computes the root of
    the sum of fourth powers in place of D, which is smaller, or larger beyond 1. The defaults are
    ours.
    """

    title = "Contrastive loss"
    authors = "Hadsell, Chopra, LeCun"
    paper = "Dimensionality Reduction by Learning an Invariant Mapping"
    year = 2006
    venue = "CVPR 2006"
    formula_text = "y D^2 + (1 - y) [m - D]+^2"
    parameters = declare(
        weight=weight_parameter(1.0),
        margin=Parameter(
            1.0,
            "distance from which other identities are left alone",
            above=0.0,
            why="without a margin all embeddings equal is a solution",
        ),
        normalize=Parameter(
            True,
            "whether embeddings are brought to unit length first",
            more="Distances are then at most 2.",
        ),
    )

    def _pair(self, F, square):
        """Return the losses of squared distances, of one identity and of two."""
        return square, F.square(F.relu(self.margin - root(F, square)))

    def formula(self, F, x1, x2, same):
        """Return the losses (N,) of given pairs (N, D), `same` (N,) being 1 or 0."""
        if self.normalize:
            x1, x2 = unit(F, x1), unit(F, x2)
        together, apart = self._pair(F, squared(F, x1, x2))
        return same * together + (1.0 - same) * apart

    def losses(self, x, labels):
        """Return the losses (N,); see `EmbeddingLoss.losses`."""
        nd, ctx = _compat.mx.nd, x.context
        same = labels[:, None] == labels[None, :]
        positive = same & ~np.eye(len(labels), dtype=bool)
        x = unit(nd, x) if self.normalize else x
        together, apart = self._pair(nd, pair_distances(nd, x, x))
        shares = (
            nd.array(mask / np.maximum(mask.sum(axis=1, keepdims=True), 1), ctx=ctx)
            for mask in (positive, ~same)
        )
        return sum(nd.sum(s * loss, axis=1) for s, loss in zip(shares, (together, apart)))
