"""From the embeddings of pairs to their distances and scores: flip forms, normalising, comparing.

Pure NumPy, float64. Un-normalised outputs of an image and of its mirror are combined first and
normalised once.
"""

import dataclasses

import numpy as np

from ...errors import InputError

__all__ = [
    "VARIANTS",
    "PairComparison",
    "combine",
    "compare_pairs",
    "mean_norm",
    "require_finite",
    "unit_rows",
]

# How the output e of an image and f of its mirror become one embedding.
VARIANTS = {
    "none": "e / |e|: the image alone",
    "sum": "(e + f) / |e + f|: add the mirror's output, then normalise",
    "concat": "[e, f] / |[e, f]|: both outputs side by side, twice the size",
    "normsum": "e/|e| + f/|f|, normalised: each view counts the same",
}

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


def combine(e, f, variant):
    """Combine the outputs of images and of their mirrors in one of the `VARIANTS`.

    Parameters
    ----------
    e : array_like, shape (n, D)
        Un-normalised outputs of the images.
    f : array_like, shape (n, D), or None
        The same of the left-right mirrored images. Only "none" does without.
    variant : {"none", "sum", "concat", "normsum"}

    Returns
    -------
    numpy.ndarray, shape (n, D) or, for "concat", (n, 2D)
        Not normalised (`compare_pairs` does that); float64 except for "none".
    """
    if variant not in VARIANTS:
        raise InputError(f"flip form {variant!r} is unknown; choose from {', '.join(VARIANTS)}")
    e = _matrix(e, "e")
    if variant == "none":
        return e
    if f is None:
        raise InputError(
            f"flip form {variant!r} needs the outputs of the mirrored images (f), which are "
            "missing; only 'none' does without"
        )
    f = _matrix(f, "f")
    if e.shape != f.shape:
        raise InputError(f"e has shape {e.shape} and f {f.shape}; row i of each is image i")
    if variant == "sum":
        return np.add(e, f, dtype=np.float64)
    if variant == "concat":
        return np.concatenate([e, f], axis=1, dtype=np.float64)
    return unit_rows(e) + unit_rows(f)


def mean_norm(*arrays):
    """Return the mean length of all rows of `arrays`, each (n, D), in float64 ("xnorm")."""
    squares = [np.einsum("ij,ij->i", array, array, dtype=np.float64) for array in arrays]
    return float(np.sqrt(np.concatenate(squares)).mean())


def unit_rows(array):
    """Divide each row by its length in float64; a zero row stays zero.

    Parameters
    ----------
    array : array_like, shape (n, D)
        Finite numbers of any real dtype.

    Returns
    -------
    numpy.ndarray, shape (n, D), float64
    """
    out = np.array(_matrix(array, "array"), np.float64)
    _normalise(out)
    return out


def compare_pairs(emb_a, emb_b):
    """Normalise two sets of embeddings and compare them row by row, in float64.

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
    emb_a, emb_b = _matrix(emb_a, "emb_a"), _matrix(emb_b, "emb_b")
    if emb_a.shape != emb_b.shape:
        raise InputError(
            f"emb_a has shape {emb_a.shape} and emb_b {emb_b.shape}; row i of each is pair i, "
            "so both must have the same shape (pairs, embedding size)"
        )
    pairs, size = emb_a.shape
    distance, score = np.empty(pairs), np.empty(pairs)
    zero_rows = 0
    buffers = np.empty((2, min(_ROWS, pairs), size))
    for start in range(0, pairs, _ROWS):
        stop = min(start + _ROWS, pairs)
        a, b = buffers[:, : stop - start]
        for array, name, unit in ((emb_a, "emb_a", a), (emb_b, "emb_b", b)):
            unit[...] = array[start:stop]
            length = _normalise(unit)
            if not np.isfinite(length).all():
                require_finite(array[start:stop], name, start)
            zero_rows += int(np.count_nonzero(length == 0))
        np.einsum("ij,ij->i", a, b, out=score[start:stop])
        a -= b
        np.einsum("ij,ij->i", a, a, out=distance[start:stop])
    collapsed = zero_rows == 2 * pairs or (
        # the second look, at all against the first, is only taken when each pair is as one
        bool(distance.max() < _SAME)
        and bool((unit_rows(emb_a) @ unit_rows(emb_a[:1])[0] > 1 - _SAME).all())
    )
    return PairComparison(distance, score, zero_rows, collapsed)


def _normalise(rows):
    """Divide the rows of a float64 array by their lengths in place; return the lengths (n,)."""
    with np.errstate(over="ignore", invalid="ignore"):  # non-finite rows are the caller's to name
        length = np.sqrt(np.einsum("ij,ij->i", rows, rows))
        # Squares of very large or small float64 numbers leave the range: scale those first.
        extreme = ~((length > 1e-150) & (length < np.inf))
        if extreme.any():
            largest = np.abs(rows[extreme]).max(axis=1)
            largest[largest == 0] = 1.0
            rows[extreme] /= largest[:, None]
            length[extreme] = np.sqrt(np.einsum("ij,ij->i", rows[extreme], rows[extreme]))
        rows /= np.where(length > 0, length, 1.0)[:, None]
    return length


def require_finite(array, name, first_row=0, error=InputError):
    """Raise `error` naming the first row of `array` (n, D) that holds a NaN or an infinity."""
    if array.dtype.kind != "f":
        return
    bad = ~np.isfinite(array).all(axis=1)
    if bad.any():
        row = int(np.argmax(bad))
        column = int(np.argmax(~np.isfinite(array[row])))
        raise error(
            f"{name} row {first_row + row} is not finite (value {array[row, column]} at column "
            f"{column}); a NaN would silently count as 'different'. Check the model that made it"
        )


def _matrix(array, name):
    array = np.asarray(array)
    if array.ndim != 2 or 0 in array.shape or array.dtype.kind not in "fiu":
        raise InputError(
            f"{name} has shape {array.shape} and dtype {array.dtype}; expected numbers of shape "
            "(pairs, embedding size), neither of them 0"
        )
    return array
