"""Matrices of embeddings: checked, normalised and multiplied block by block. Pure NumPy.

All protocols multiply unit vectors through a *product function* ``product(a, b, out)`` which
returns ``a @ b.T``. `multiply` is the one of NumPy; `gluonface.deploy.device_matmul` has one that
runs on a GPU.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import InputError

__all__ = [
    "COLLAPSED",
    "check_matrix",
    "is_collapsed",
    "multiply",
    "require_finite",
    "row_lengths",
    "unit_block",
    "unit_matrix",
]

COLLAPSED = (
    "COLLAPSED: the embeddings of all images are the same; the model tells nobody apart, and "
    "every score counts as 0"
)

_ROWS = 4096  # rows read together: 8 MB of 512-d float32
_SAME = 1e-6  # 1 - cosine of vectors that differ by float32 rounding only


def multiply(a, b, out=None):
    """Return ``a @ b.T`` for `a` (m, D) and `b` (n, D), in `out` (m, n) where it is given."""
    return np.matmul(a, b.T, out=out)


def check_matrix(array: Any, name: str, rows: int | None = None) -> Any:
    """Return `array` if it is (n, D) real numbers, n = `rows` where given; else InputError."""
    if not hasattr(array, "dtype"):
        array = np.asarray(array)
    if array.ndim != 2 or 0 in array.shape or array.dtype.kind not in "fiu":
        raise InputError(
            f"{name}: features have shape {array.shape} and dtype {array.dtype}; expected numbers "
            "of shape (images, embedding size), neither of them 0"
        )
    if rows is not None and len(array) != rows:
        raise InputError(f"{name}: there are {len(array)} features for {rows} entries of the list")
    return array


def row_lengths(array, name, start=0):
    """Return the lengths of the rows of `array` (n, D) as float64 (n,).

    Raises
    ------
    InputError
        A value is not finite; the row is named, counted from `start`.
    """
    norms = np.empty(len(array))
    for first in range(0, len(array), _ROWS):
        block = array[first : first + _ROWS]
        if block.dtype.kind != "f" or block.dtype.itemsize < 4:
            block = block.astype(np.float32)
        squares = np.einsum("ij,ij->i", block, block)
        here = np.sqrt(squares, dtype=np.float64)
        odd = ~((squares > 1e-30) & (squares < 1e30))  # rare: zero, or near the end of float32
        if odd.any():
            require_finite(block, name, start + first)
            wide = block[odd].astype(np.float64)
            largest = np.abs(wide).max(axis=1)
            wide /= np.where(largest > 0, largest, 1)[:, None]
            here[odd] = largest * np.sqrt(np.einsum("ij,ij->i", wide, wide))
        norms[first : first + _ROWS] = here
    return norms


def unit_block(array, name, start=0, out=None, dtype=np.float32):
    """Return the rows of `array` (n, D) divided by their lengths, and how many are zero.

    Parameters
    ----------
    array : numpy.ndarray, shape (n, D)
        A zero row stays zero.
    name : str
        What to call it in an error.
    start : int, default 0
        Number of its first row in an error.
    out : numpy.ndarray, shape (n, D), optional
        Where to write.
    dtype : default float32
        Of the result when `out` is not given.
    """
    exact = (dtype if out is None else out.dtype) == np.float64
    norms = row_lengths(array.astype(np.float64) if exact else array, name, start)
    if out is None:
        out = np.empty(array.shape, dtype)
    scale = 1 / np.where(norms > 0, norms, 1)
    if exact:
        np.divide(array, np.where(norms > 0, norms, 1)[:, None], out=out)
    elif len(norms) and (scale.max() > 1e30 or scale.min() < 1e-30):  # 1 / length leaves float32
        out[...] = array * scale[:, None]
    else:
        np.multiply(array, scale.astype(np.float32)[:, None], out=out, casting="unsafe")
    return out, int(np.count_nonzero(norms == 0))


def unit_matrix(array, name, dtype=np.float32):
    """Return the rows of `array` (n, D) at unit length as a new array, and how many are zero.

    It does not check for a collapse (see `is_collapsed`).
    """
    array = check_matrix(array, name)
    out = np.empty(array.shape, dtype)
    zero = 0
    for start in range(0, len(array), _ROWS):
        rows = slice(start, start + _ROWS)
        zero += unit_block(array[rows], name, start, out[rows])[1]
    return out, zero


def is_collapsed(*units):
    """Return whether all rows of all these unit matrices point the same way (to 1e-6), or are zero.

    Rounding makes the scores of equal vectors differ, so a model with one output for everybody may
    get good figures by chance. The protocols treat all such embeddings as zero vectors.
    """
    first = units[0][0].astype(np.float64)
    if len(units) == 1 and len(units[0]) == 1:
        return False
    for unit in units:
        for start in range(0, len(unit), _ROWS):
            block = unit[start : start + _ROWS]
            if first.any():
                if not (block.astype(np.float64) @ first > 1 - _SAME).all():
                    return False
            elif block.any():
                return False
    return True


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
