"""Random numbers that depend on (seed, epoch, sample) and on nothing else.

Each number is a hash, not the next value of a generator: it is the same on any number of workers
and ranks, in any order, and after a resume.
"""

from __future__ import annotations

import numpy as np

__all__ = ["FLIP", "flips", "hash64", "uniform"]

FLIP = 1  # the stream of the flips; the streams of other augmentations are 256 and above

_MASK = (1 << 64) - 1
_STEP = 0x9E3779B97F4A7C15  # 2**64 / golden ratio, odd


def _mix(value):
    """Scatter the bits of uint64: the finalizer of SplitMix64 (Steele et al., 2014)."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


def hash64(seed: int, epoch: int, index, stream: int) -> np.ndarray:
    """Return 64 random bits per sample.

    Parameters
    ----------
    seed, epoch : int
        Any whole numbers; taken modulo 2**64.
    index : numpy.ndarray or sequence of int
        Positions of the samples in the data set, (n,), 0 or more.
    stream : int
        Numbers of different streams are independent.

    Returns
    -------
    numpy.ndarray
        uint64 (n,).
    """
    key = np.zeros(1, np.uint64)  # an array: scalars would warn when they wrap around
    for number in (seed, epoch, stream):
        key = _mix(key + np.uint64(int(number) + _STEP & _MASK))
    index = np.atleast_1d(np.asarray(index)).astype(np.uint64)
    return _mix(_mix(index * np.uint64(_STEP) + key) ^ key)


def uniform(seed: int, epoch: int, index, stream: int) -> np.ndarray:
    """Return one float64 in [0, 1) per sample; parameters as of `hash64`."""
    return (hash64(seed, epoch, index, stream) >> np.uint64(11)) * 2.0**-53


def flips(seed: int, epoch: int, index) -> np.ndarray:
    """Return which samples are mirrored in an epoch: bool (n,), half of them."""
    return hash64(seed, epoch, index, FLIP) >> np.uint64(63) == 1
