"""The flip rule: how the outputs for an image and for its mirror become one embedding. Pure NumPy.

Outputs are merged as the network gives them, and the result is normalised once.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ...errors import InputError
from .feature_matrix import unit_matrix

__all__ = ["FLIPS", "FLIP_FORMS", "combine_views", "merge_outputs", "normalize_rows"]

# How the output e of an image and f of its mirror become one embedding.
FLIP_FORMS = {
    "none": "e / |e|: the image alone",
    "sum": "(e + f) / |e + f|: add the mirror's output, then normalise",
    "concat": "[e, f] / |[e, f]|: both outputs side by side, twice the size",
    "normsum": "e/|e| + f/|f|, normalised: each of both counts the same",
}
FLIPS = ("none", "sum", "concat")  # those that an `Embedder` offers


def merge_outputs(
    e: npt.ArrayLike, f: npt.ArrayLike | None, flip: str, dtype: npt.DTypeLike | None = None
) -> np.ndarray:
    """Merge the outputs of images and of their mirrors in one of the `FLIP_FORMS`.

    Parameters
    ----------
    e : array_like, shape (n, D)
        Un-normalised outputs of the images.
    f : array_like, shape (n, D), or None
        The same of the left-right mirrored images. Only "none" does without.
    flip : {"none", "sum", "concat", "normsum"}
    dtype : numpy dtype, optional
        Of sum and concat. Default: that of the outputs. normsum is float64.

    Returns
    -------
    numpy.ndarray, shape (n, D) or, for "concat", (n, 2D)
        Not normalised.

    Raises
    ------
    InputError
        Another `flip`, no `f`, or shapes that differ.
    """
    if flip not in FLIP_FORMS:
        raise InputError(f"flip form {flip!r} is unknown; choose from {', '.join(FLIP_FORMS)}")
    e = np.asarray(e)
    if flip == "none":
        return e
    if f is None:
        raise InputError(
            f"flip form {flip!r} needs the outputs of the mirrored images (f), which are missing; "
            "only 'none' does without"
        )
    f = np.asarray(f)
    if e.shape != f.shape:
        raise InputError(f"e has shape {e.shape} and f {f.shape}; row i of each is image i")
    if flip == "sum":
        return np.add(e, f, dtype=dtype)
    if flip == "concat":
        return np.concatenate([e, f], axis=1, dtype=dtype)
    return unit_matrix(e, "e", np.float64)[0] + unit_matrix(f, "f", np.float64)[0]


def combine_views(
    e: npt.ArrayLike, f: npt.ArrayLike | None, flip: str = "sum"
) -> npt.NDArray[np.float32]:
    """Merge un-normalised outputs of images and of their mirrors, then normalise once.

    Parameters
    ----------
    e, f : array_like, shape (N, D)
        Outputs for the images and for the mirrored images. `f` may be None with ``flip="none"``.
    flip : {"sum", "none", "concat"}
        ``none``: L2(e), ``sum``: L2(e + f), ``concat``: L2([e, f]).

    Returns
    -------
    numpy.ndarray
        float32 (N, D), for ``concat`` (N, 2D).

    Raises
    ------
    InputError
        For another `flip`.
    """
    if flip not in FLIPS:
        raise InputError(f"flip is {flip!r}; expected one of {', '.join(FLIPS)}")
    return normalize_rows(merge_outputs(e, f, flip))


def normalize_rows(rows: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """Return `rows` (N, D) as float32 at unit length. A zero row stays zero.

    `feature_matrix.unit_block` takes float32 lengths, which is faster. Embeddings that users store
    are made here with float64 lengths, and their last bit would change with the other.
    """
    rows = np.asarray(rows, dtype=np.float32)
    norm = np.sqrt(np.square(rows, dtype=np.float64).sum(axis=1, keepdims=True))
    return (rows / np.where(norm > 0, norm, 1)).astype(np.float32)
