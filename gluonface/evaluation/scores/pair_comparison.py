"""Distances and scores of pairs of embeddings, in float64. Pure NumPy."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from ...errors import InputError
from .feature_matrix import check_matrix, unit_block, unit_matrix

__all__ = ["PairComparison", "compare_pairs", "compare_rows", "mean_norm"]

_ROWS = 256  # rows at a time: their float64 blocks stay in the cache, and NumPy calls stay few
_SAME = 1e-6  # 1 - cosine of vectors that differ by float32 rounding only


@dataclasses.dataclass(frozen=True)
class PairComparison:
    """What `compare_pairs` found.

    Attributes
    ----------
    distance : numpy.ndarray, shape (n,), float64
        Squared Euclidean distance of the unit vectors, 0..4.
    score : numpy.ndarray, shape (n,), float64
        Their dot product, -1..1; 0 where one of the two is a zero vector.
    zero_rows : int
        How many of the 2n vectors are zero.
    collapsed : bool
        Whether all vectors point the same way (to 1e-6 in cosine), or all are zero: the model
        tells nobody apart.
    """

    distance: np.ndarray
    score: np.ndarray
    zero_rows: int
    collapsed: bool


def mean_norm(*arrays: npt.ArrayLike) -> float:
    """Return the mean length of all rows of `arrays`, each (n, D), in float64 ("xnorm")."""
    squares = [
        np.einsum("ij,ij->i", array, array, dtype=np.float64) for array in map(np.asarray, arrays)
    ]
    return float(np.sqrt(np.concatenate(squares)).mean())


def compare_pairs(emb_a: npt.ArrayLike, emb_b: npt.ArrayLike) -> PairComparison:
    """Normalise two sets of embeddings and compare them row by row, in float64.

    Distances are those of InsightFace's program to the last bit (scikit-learn's ``normalize``,
    then ``np.sum(np.square(a - b), 1)``). That program leaves vectors shorter than 2e-15 as they
    are; here they are brought to unit length too, and so are those whose squares leave the range
    of float32.

    Parameters
    ----------
    emb_a, emb_b : array_like, shape (n, D)
        Finite numbers; any real dtype, any length.

    Returns
    -------
    PairComparison

    Raises
    ------
    InputError
        Wrong shapes or dtypes, or a value that is not finite; the row is named.
    """
    one, other = check_matrix(emb_a, "emb_a"), check_matrix(emb_b, "emb_b")
    if one.shape != other.shape:
        raise InputError(
            f"emb_a has shape {one.shape} and emb_b {other.shape}; row i of each is pair i, "
            "so both must have the same shape (pairs, embedding size)"
        )
    return _compare(one, other, lambda start, stop: (slice(start, stop),) * 2, len(one))


def compare_rows(embeddings: npt.ArrayLike, sides: np.ndarray) -> PairComparison:
    """Compare pairs of rows of one set of embeddings, as `compare_pairs` does.

    Parameters
    ----------
    embeddings : array_like, shape (m, D)
        Finite numbers. An image that is in many pairs is one row.
    sides : numpy.ndarray of int, shape (n, 2)
        The two rows of each pair.

    Returns
    -------
    PairComparison
        ``zero_rows`` counts the sides of pairs.
    """
    array = check_matrix(embeddings, "embeddings")
    return _compare(
        array, array, lambda start, stop: (sides[start:stop, 0], sides[start:stop, 1]), len(sides)
    )


def _compare(one, other, rows, pairs):
    """Compare rows of two matrices; `rows` gives those of the pairs from one to another."""
    size = one.shape[1]
    distance, score = np.empty(pairs), np.empty(pairs)
    zero_rows = 0
    buffers = np.empty((2, min(_ROWS, pairs), size))
    for start in range(0, pairs, _ROWS):
        stop = min(start + _ROWS, pairs)
        a, b = buffers[:, : stop - start]
        first, second = rows(start, stop)
        for array, name, unit in ((one[first], "emb_a", a), (other[second], "emb_b", b)):
            zero_rows += unit_block(array, name, start, unit)[1]
        np.einsum("ij,ij->i", a, b, out=score[start:stop])
        # The sum in the order in which InsightFace's program adds: einsum adds in another, and a
        # last bit decides on which side of a threshold of the grid a pair falls.
        np.sum(np.square(np.subtract(a, b, out=a), out=a), axis=1, out=distance[start:stop])
    collapsed = zero_rows == 2 * pairs or (
        # the second look, at all against the first, is only taken when each pair is as one
        bool(distance.max() < _SAME) and bool((_units(one) @ _units(one[:1])[0] > 1 - _SAME).all())
    )
    return PairComparison(distance, score, zero_rows, collapsed)


def _units(array):
    return unit_matrix(array, "emb_a", np.float64)[0]
