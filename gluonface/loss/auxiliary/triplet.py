"""Triplet loss: another identity must be further away than the same one, by a margin."""

import numpy as np

from ... import _compat
from ._base import AUXILIARY, Parameter, declare, weight_parameter
from ._embedding import EmbeddingLoss
from ._formulas import pair_distances, squared, unit

__all__ = ["Triplet"]


@AUXILIARY.register("triplet")
class Triplet(EmbeddingLoss):
    r"""Hinge of squared distances to a positive and a negative.

    .. math:: L = [ \lVert a - p \rVert^2 - \lVert a - n \rVert^2 + m ]_+

    Called with embeddings and labels, each sample is an anchor, with the furthest sample of its
    class and the nearest of any other in the batch (batch-hard). An anchor without one of them has
    the loss 0.

    Notes
    -----
    `formula` takes given triplets: anchors, positives and negatives, each (N, D).

    Batches need several images per identity; in a recipe ``data: {sampler: identity_balanced}``
    gives such batches. The selection has no gradient; of equal distances the first counts.
    gluon-face computes the same of given triplets, with a margin of 1 by default.
    """

    title = "Triplet loss"
    authors = "Schroff, Kalenichenko, Philbin"
    paper = "FaceNet: A Unified Embedding for Face Recognition and Clustering"
    year = 2015
    further_reference = (
        "Batch-hard: Hermans, Beyer, Leibe: In Defense of the Triplet Loss for Person "
        "Re-Identification, 2017, arXiv 1703.07737, there with distances that are not squared."
    )
    arxiv = "1503.03832"
    outputs_doc = (
        "NDArray (N,) float32\n    N samples of all processes; see `EmbeddingLoss`. The mean is "
        "over all of them, so a\n    batch with few positives has a small loss."
    )
    formula_text = "[|a - p|^2 - |a - n|^2 + m]+"
    parameters = declare(
        weight=weight_parameter(1.0),
        margin=Parameter(
            0.2,
            "how much further the negative must be, in squared distance",
            more="The margin m of the formula.",
            above=0.0,
            why="without a margin all embeddings equal is a solution",
        ),
        normalize=Parameter(
            True, "whether embeddings are brought to unit length first", more="As in the paper."
        ),
    )

    def formula(self, F, anchor, positive, negative):
        """Return the losses (N,) of given triplets, each (N, D)."""
        if self.normalize:
            anchor, positive, negative = (unit(F, x) for x in (anchor, positive, negative))
        near, far = squared(F, anchor, positive), squared(F, anchor, negative)
        return F.relu(near - far + self.margin)

    def losses(self, x, labels):
        """Return the losses (N,); see `EmbeddingLoss.losses`."""
        nd, ctx = _compat.mx.nd, x.context
        same = labels[:, None] == labels[None, :]
        positive = same & ~np.eye(len(labels), dtype=bool)
        usable = positive.any(axis=1) & ~same.all(axis=1)
        with _compat.mx.autograd.pause():
            points = unit(nd, x.detach()) if self.normalize else x.detach()
            distances = pair_distances(nd, points, points)
            far = nd.where(nd.array(positive, ctx=ctx), distances, nd.full(same.shape, -1.0, ctx))
            huge = nd.full(same.shape, np.float32(3e38), ctx)
            near = nd.where(nd.array(same, ctx=ctx), huge, distances)
            hardest_positive, hardest_negative = nd.argmax(far, axis=1), nd.argmin(near, axis=1)
        loss = self.formula(nd, x, nd.take(x, hardest_positive), nd.take(x, hardest_negative))
        return loss * nd.array(usable, ctx=ctx)
