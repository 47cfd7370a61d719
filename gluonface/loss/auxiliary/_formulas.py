"""Distances and directions whose gradients stay finite at zero. For `mxnet.nd` and `mxnet.sym`."""

__all__ = ["NEGATIVE", "inner", "lengths", "pair_distances", "root", "squared", "unit"]

NEGATIVE = "below 0 the term would change its sign"

# Smaller squares count as zero. The root, 1e-12, is a distance far below the resolution of float32
# embeddings, and its inverse times the difference itself stays bounded.
TINY = 1e-24


def inner(F, a, b):
    """Return the inner products of rows, (N, D) and (N, D) -> (N,)."""
    return F.sum(a * b, axis=1)


def squared(F, a, b):
    """Return the squared distances of rows, (N, D) and (N, D) -> (N,)."""
    return F.sum(F.square(a - b), axis=1)


def root(F, square):
    """Return the square root, with value and gradient 0 where the square is 0."""
    return F.sqrt(F.maximum(square, TINY)) * (square > TINY)


def lengths(F, x):
    """Return the lengths of rows, (N, D) -> (N,); a zero row has the gradient 0."""
    return root(F, F.sum(F.square(x), axis=1))


def unit(F, x):
    """Return rows of length 1; a zero row stays zero and has the gradient 0."""
    square = F.sum(F.square(x), axis=1, keepdims=True)
    return F.broadcast_mul(x, F.rsqrt(F.maximum(square, TINY)) * (square > TINY))


def pair_distances(F, a, b):
    """Return all squared distances, (N, D) and (M, D) -> (N, M).

    By inner products, since differences would take N M D numbers. Moving the origin to the mean
    of `b` changes no distance and keeps the digits that far-off points would lose.
    """
    origin = F.BlockGrad(F.mean(b, axis=0, keepdims=True))
    a, b = F.broadcast_sub(a, origin), F.broadcast_sub(b, origin)
    across = F.expand_dims(F.sum(F.square(a), axis=1), axis=1)
    down = F.expand_dims(F.sum(F.square(b), axis=1), axis=0)
    return F.relu(F.broadcast_add(across, down) - 2.0 * F.dot(a, b, transpose_b=True))
