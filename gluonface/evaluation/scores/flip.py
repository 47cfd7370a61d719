"""How the outputs for an image and for its mirror become one embedding. Pure NumPy."""

import numpy as np

from ...errors import InputError

__all__ = ["FLIPS", "combine_views", "normalize_rows"]

FLIPS = ("none", "sum", "concat")


def normalize_rows(rows):
    """Return float32 `rows` (N,D) at unit length. A zero row stays zero."""
    rows = np.asarray(rows, dtype=np.float32)
    norm = np.sqrt(np.square(rows, dtype=np.float64).sum(axis=1, keepdims=True))
    return (rows / np.where(norm > 0, norm, 1)).astype(np.float32)


def combine_views(e, f, flip="sum"):
    """Combine un-normalised outputs of images and of their mirrors, then normalise once.

    Parameters
    ----------
    e, f : numpy.ndarray (N,D)
        Outputs for the images and for the mirrored images. `f` may be None with ``flip="none"``.
    flip : {"sum", "none", "concat"}
        ``none``: L2(e), ``sum``: L2(e + f), ``concat``: L2([e, f]).

    Returns
    -------
    numpy.ndarray
        float32 (N,D), for ``concat`` (N,2D).

    Raises
    ------
    InputError
        For another `flip`.
    """
    if flip not in FLIPS:
        raise InputError(f"flip is {flip!r}; expected one of {', '.join(FLIPS)}")
    if flip == "none":
        return normalize_rows(e)
    if flip == "sum":
        return normalize_rows(np.add(e, f))
    return normalize_rows(np.concatenate([e, f], axis=1))
