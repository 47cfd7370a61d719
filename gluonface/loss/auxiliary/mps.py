"""MPS loss: max-margin pair score, the hardest pair of a batch against each true pair."""

import numpy as np

from ... import _compat
from ._base import AUXILIARY, Parameter, declare, weight_parameter
from ._embedding import EmbeddingLoss
from ._formulas import inner, unit
from .range import nothing

__all__ = ["MPS"]


@AUXILIARY.register("mps")
class MPS(EmbeddingLoss):
    r"""Hinge between a pair's cosine and the largest cosine it has with other identities.

    .. math:: L_i = \left[ \max_{j \neq i} \max(\cos(h_j, g_i), \cos(h_i, g_j)) - \cos(h_i, g_i)
              + m \right]_+

    for pairs (h, g), one per identity, such as a document's photo and a selfie. Called with
    embeddings and labels, the pairs are the first two images of each class of the batch; classes
    with one image are left out.

    Notes
    -----
    `formula` takes the pairs h (M, D) and g (M, D), M at least 2, of M identities.

    gluon-face returns a matrix (M, M) by a mistaken broadcast, halves it, and counts the own pair
    as a cosine of 0, which is wrong when all others are negative.
    """

    title = "Max-margin pair score"
    authors = "Shi, Jain"
    paper = "DocFace: Matching ID Document Photos to Selfies"
    year = 2018
    arxiv = "1805.02283"
    outputs_doc = (
        "NDArray (M,) float32\n    M pairs of all processes; (1,) of 0 with fewer than two pairs. "
        "See `EmbeddingLoss`."
    )
    formula_text = "[max_j max(cos(h_j, g_i), cos(h_i, g_j)) - cos(h_i, g_i) + m]+"
    parameters = declare(
        weight=weight_parameter(1.0),
        margin=Parameter(
            0.5,
            "how much larger a true pair's cosine must be",
            more="The margin m of the formula.",
            above=0.0,
            high=4.0,
            why="cosines are at most 2 apart, so beyond that it only adds a constant",
        ),
    )

    def formula(self, F, h, g):
        """Return the losses (M,) of pairs h (M, D), g (M, D)."""
        h, g = unit(F, h), unit(F, g)
        place = F.contrib.arange_like(h, axis=0)
        itself = F.broadcast_equal(F.expand_dims(place, axis=1), F.expand_dims(place, axis=0))
        cosine = F.dot(h, g, transpose_b=True) - 4.0 * itself  # below any other
        hardest = F.maximum(F.max(cosine, axis=0), F.max(cosine, axis=1))
        return F.relu(hardest - inner(F, h, g) + self.margin)

    def losses(self, x, labels):
        """Return the losses (M,); see `EmbeddingLoss.losses`."""
        rows = [np.flatnonzero(labels == label) for label in np.unique(labels)]
        pairs = np.array([place[:2] for place in rows if len(place) > 1])
        if len(pairs) < 2:
            return nothing(x)
        nd = _compat.mx.nd
        h, g = (nd.array(pairs[:, i], ctx=x.context, dtype="int64") for i in (0, 1))
        return self.formula(nd, nd.take(x, h), nd.take(x, g))
