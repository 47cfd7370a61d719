"""Distances and angles within a batch, compared between two networks, with exact gradients.

The gradients are written by hand: autograd would keep N^3 numbers for the angles of N embeddings.
Here some vertices are computed at a time. Differences are taken before they are squared, so that
equal embeddings have the distance 0 and two that are nearly equal keep their digits.
"""

from ... import _compat
from ._formulas import unit
from ._teacher import TeacherLoss, exact_gradient

__all__ = ["RelationalLoss", "angle_loss", "distance_loss"]

TINY = 1e-12  # of a squared distance; below it two embeddings count as equal
NUMBERS = 1 << 22  # of the largest array of some vertices, 16 MiB


def _blocks(x, columns):
    """Yield slices of vertices whose arrays of N x `columns` numbers stay small."""
    count = x.shape[0]
    step = max(1, min(count, NUMBERS // max(1, count * columns)))
    for first in range(0, count, step):
        yield slice(first, min(count, first + step))


def _differences(x, block):
    """Return x_j - x_i for the vertices i of a block, (b, N, D), and their lengths (b, N).

    And 1 over the lengths, 0 where they count as 0.
    """
    nd = _compat.mx.nd
    apart = nd.broadcast_sub(nd.expand_dims(x, axis=0), nd.expand_dims(x[block], axis=1))
    square = nd.sum(nd.square(apart), axis=2)
    real = square > TINY
    length = nd.sqrt(square) * real
    return apart, length, real / nd.sqrt(nd.maximum(square, TINY))


def _huber(difference):
    """Return the sum of Huber's function with delta 1, (1,), and its derivatives."""
    nd = _compat.mx.nd
    return nd.sum(nd.smooth_l1(difference, scalar=1.0)).reshape((1,)), nd.clip(difference, -1, 1)


def _distances(x):
    """Return all distances (N, N), and the mean of those that are not 0, and their number."""
    nd = _compat.mx.nd
    rows = [_differences(x, block)[1] for block in _blocks(x, x.shape[1])]
    lengths = nd.concat(*rows, dim=0) if len(rows) > 1 else rows[0]
    count = nd.maximum(nd.sum(lengths > 0), 1.0)
    mean = nd.sum(lengths) / count
    return lengths, mean + (mean == 0), count  # all equal: 0 over 1


def distance_loss(x, teacher, pairs):
    """Return Huber's function of the differences of relative distances, and its gradient.

    Parameters
    ----------
    x, teacher : NDArray (N, D), (N, D_t)
    pairs : float
        What the sum over all N^2 pairs is divided by.

    Returns
    -------
    loss : NDArray (1,)
    gradient : NDArray (N, D)
        By `x`.
    """
    nd = _compat.mx.nd
    lengths, mean, count = _distances(x)
    theirs, their_mean, _ = _distances(teacher)
    apart = nd.broadcast_sub(nd.broadcast_div(lengths, mean), nd.broadcast_div(theirs, their_mean))
    total, slope = _huber(apart)
    # The mean is a function of the distances as well.
    through_mean = nd.sum(slope * lengths) / (nd.square(mean) * count)
    by_length = nd.broadcast_sub(nd.broadcast_div(slope, mean), through_mean) / pairs
    return total / pairs, _to_rows(x, lambda block: by_length[block])


def _to_rows(x, by_length):
    """Return the gradient by `x` of a function of all its distances."""
    nd, gradient = _compat.mx.nd, _compat.mx.nd.zeros_like(x)
    for block in _blocks(x, x.shape[1]):
        apart, _, inverse = _differences(x, block)
        each = nd.broadcast_mul(apart, nd.expand_dims(by_length(block) * inverse, axis=2))
        gradient += nd.sum(each, axis=0)
        gradient[block] -= nd.sum(each, axis=1)
    return gradient


def angle_loss(x, teacher, triples):
    """Return Huber's function of the differences of angles' cosines, and its gradient.

    The cosine is that of the angle at j between the directions to i and to k, for all i, j, k.
    `triples` divides the sum over all N^3. The rest is as for `distance_loss`.
    """
    nd = _compat.mx.nd
    total, gradient = nd.zeros((1,), ctx=x.context), nd.zeros_like(x)
    for block in _blocks(x, max(x.shape)):
        apart, _, inverse = _differences(x, block)
        inverse = nd.expand_dims(inverse, axis=2)
        directions = nd.broadcast_mul(apart, inverse)
        theirs, _, their_inverse = _differences(teacher, block)
        theirs = nd.broadcast_mul(theirs, nd.expand_dims(their_inverse, axis=2))
        cosines = nd.batch_dot(directions, directions, transpose_b=True)
        value, slope = _huber(cosines - nd.batch_dot(theirs, theirs, transpose_b=True))
        total = total + value
        # Symmetric in i and k: each direction is in two of the products.
        each = nd.batch_dot(slope, directions) * (2.0 / triples)
        radial = nd.sum(each * directions, axis=2, keepdims=True)
        each = nd.broadcast_mul(each - nd.broadcast_mul(directions, radial), inverse)
        gradient += nd.sum(each, axis=0)
        gradient[block] -= nd.sum(each, axis=1)
    return total / triples, gradient


class RelationalLoss(TeacherLoss):
    """Template: the mean of `measure` over all pairs or triples of a batch.

    A subclass sets `points`, 2 or 3, and `measure`: `distance_loss` or `angle_loss`.
    """

    authors = "Park, Kim, Lu, Cho"
    year = 2019
    venue = "CVPR 2019"
    arxiv = "1904.05068"
    further_reference = "The weight is TFace's."
    outputs_doc = "NDArray (1,) float32\n    Of the batch of all processes; see `TeacherLoss`."

    def compare(self, x, teacher, labels):
        """Return the loss (1,); see `TeacherLoss.compare`."""
        if self.normalize:
            x, teacher = (unit(_compat.mx.nd, each) for each in (x, teacher))
        n, count = x.shape[0], 1
        for taken in range(self.points):
            count *= n if self.mean == "all" else n - taken
        with _compat.mx.autograd.pause():
            found = self.measure(x.detach(), teacher, float(max(1, count)))
        return exact_gradient(x, *found)
