"""Range loss: the widest pairs within a class, and the two nearest classes, of a batch."""

import numpy as np

from ... import _compat
from ._base import AUXILIARY, Parameter, declare, weight_parameter
from ._embedding import EmbeddingLoss
from ._formulas import NEGATIVE, pair_distances, root, squared

__all__ = ["Range"]

LEAST = 1e-12  # a distance whose inverse and its square float32 can hold


@AUXILIARY.register("range")
class Range(EmbeddingLoss):
    r"""Harmonic mean of each class's largest distances, hinge of the nearest class means.

    .. math::

       L = \alpha \sum_c \frac{k}{\sum_{t=1}^k 1/D_{ct}} + \beta \left[ m - \min_{a \neq b}
           D(\mu_a, \mu_b) \right]_+

    with :math:`D_{c1} \ge D_{c2} \ge \ldots` the distances between the batch's samples of class c
    and :math:`\mu_c` their mean. D is the squared distance.

    Notes
    -----
    The classes are those of the labels, in any order and of any size; a class with one image adds
    nothing to the first term, a batch of one class nothing to the second. gluon-face takes
    sorted blocks of equal size without reading the labels, does not square, and its alpha and
    beta are exchanged.
    """

    title = "Range loss"
    authors = "Zhang, Fang, Wen, Li, Qiao"
    paper = "Range Loss for Deep Face Recognition with Long-tail"
    year = 2016
    arxiv = "1611.08976"
    outputs_doc = (
        "NDArray (1,) float32\n    One loss of the batch of all processes; see `EmbeddingLoss`."
    )
    formula_text = "alpha sum_c k/sum(1/D_ct) + beta [m - min D(mean_a, mean_b)]+"
    parameters = declare(
        weight=weight_parameter(1.0, "The paper's lambda."),
        alpha=Parameter(5e-5, "factor of the distances within classes", low=0.0, why=NEGATIVE),
        beta=Parameter(1e-4, "factor of the distance between classes", low=0.0, why=NEGATIVE),
        k=Parameter(
            2,
            "how many distances of a class count",
            more="Of a class with fewer pairs, all.",
            low=1,
            whole=True,
            why="it takes the k largest",
        ),
        margin=Parameter(
            2e4,
            "distance from which class means are left alone",
            more="It must suit the embeddings' length: squared distances of unit vectors are at "
            "most 4.",
            above=0.0,
            why="at 0 the term would always be 0",
        ),
        squared=Parameter(True, "whether distances are squared"),
    )

    def losses(self, x, labels):
        """Return the loss (1,); see `EmbeddingLoss.losses`."""
        intra, inter = self.terms(x, labels)
        return self.alpha * intra + self.beta * inter

    def terms(self, x, labels):
        """Return the two terms, (1,) each, without their factors.

        Parameters
        ----------
        x : NDArray (N, D) float32
        labels : numpy.ndarray (N,) int64
        """
        members = [np.flatnonzero(labels == label) for label in np.unique(labels)]
        return self._intra(x, members), self._inter(x, members)

    def _distances(self, F, a, b):
        square = squared(F, a, b)
        return square if self.squared else root(F, square)

    def _intra(self, x, members):
        nd, ctx = _compat.mx.nd, x.context
        pairs = [np.array(np.triu_indices(len(rows), 1)) for rows in members]
        pairs = [rows[place] for rows, place in zip(members, pairs) if place.size]
        if not pairs:
            return nothing(x)
        # One row per class, filled up with pairs of a sample with itself.
        width = max(place.shape[1] for place in pairs)
        real = np.array([[i < place.shape[1] for i in range(width)] for place in pairs])
        filled = np.stack([np.pad(place, ((0, 0), (0, width - place.shape[1]))) for place in pairs])
        left, right = (nd.array(filled[:, i].reshape(-1), ctx=ctx, dtype="int64") for i in (0, 1))
        distances = self._distances(nd, nd.take(x, left), nd.take(x, right)).reshape(real.shape)
        with _compat.mx.autograd.pause():
            shown = nd.where(nd.array(real, ctx=ctx), distances, nd.full(real.shape, -1.0, ctx))
            count = min(self.k, width)
            chosen = nd.topk(shown, k=count, axis=1, ret_typ="mask")
            chosen = chosen * nd.array(real, ctx=ctx)
        used = nd.array(np.minimum(real.sum(axis=1), self.k), ctx=ctx)
        inverse = nd.sum(chosen / nd.maximum(distances, LEAST), axis=1)
        return nd.sum(used / inverse).reshape((1,))

    def _inter(self, x, members):
        nd, ctx = _compat.mx.nd, x.context
        if len(members) < 2:
            return nothing(x)
        average = np.zeros((len(members), x.shape[0]))
        for place, rows in enumerate(members):
            average[place, rows] = 1.0 / len(rows)
        means = nd.dot(nd.array(average, ctx=ctx), x)
        with _compat.mx.autograd.pause():
            points = means.detach()
            distances = pair_distances(nd, points, points)
            itself = nd.array(np.eye(len(members)), ctx=ctx)
            distances = nd.where(itself, nd.full(distances.shape, np.float32(3e38), ctx), distances)
            a, b = np.unravel_index(int(nd.argmin(distances.reshape((-1,)), axis=0).asscalar()),
                                    distances.shape)  # fmt: skip
        nearest = self._distances(nd, means[a : a + 1], means[b : b + 1])
        return nd.relu(self.margin - nearest)


def nothing(x):
    """Return a loss (1,) of 0 whose gradient by `x` is 0."""
    return (x * 0.0).sum().reshape((1,))
