"""Random numbers that depend on (seed, epoch, sample) and on nothing else.

A choice is a hash of those numbers, not the next value of a generator: it comes out the same
whatever the number of workers and ranks, in any order, and after a resume.
"""

import numpy as np

__all__ = ["FLIP", "flips", "hash64", "uniform"]

FLIP = 1  # the stream of the flips; other augmentations have theirs from 256 on

_MASK = (1 << 64) - 1
_STEP = 0x9E3779B97F4A7C15  # 2**64 / golden ratio, odd


def _mix(value):
    """Scatter the bits of a 64-bit int: the finalizer of SplitMix64 (Steele et al., 2014)."""
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & _MASK
    value = (value ^ value >> 27) * 0x94D049BB133111EB & _MASK
    return value ^ value >> 31


def _mix_array(value):
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


def hash64(seed, epoch, index, stream):
    """Return 64 random bits per sample.

    Parameters
    ----------
    seed, epoch : int
        Any whole numbers; taken modulo 2**64.
    index : numpy.ndarray or sequence of int
        Positions of the samples in the data set, (n,), 0 or more.
    stream : int
        Which choice is made, so that two choices for one sample do not go together.

    Returns
    -------
    numpy.ndarray
        uint64 (n,).
    """
    key = 0
    for number in (seed, epoch, stream):
        key = _mix((key + int(number) + _STEP) & _MASK)
    index = np.atleast_1d(np.asarray(index)).astype(np.uint64)
    return _mix_array(_mix_array(index * np.uint64(_STEP) + np.uint64(key)) ^ np.uint64(key))


def uniform(seed, epoch, index, stream):
    """Return one float64 in [0, 1) per sample; parameters as of `hash64`."""
    return (hash64(seed, epoch, index, stream) >> np.uint64(11)) * 2.0**-53


def flips(seed, epoch, index):
    """Say which samples are mirrored in an epoch: bool (n,), half of them."""
    return hash64(seed, epoch, index, FLIP) >> np.uint64(63) == 1
