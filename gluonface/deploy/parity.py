"""Compare two ways to run one network, on images of noise."""

from __future__ import annotations

import typing

import numpy as np

__all__ = ["disagreement", "noise"]

# Relative to the largest number. Two float32 runs of one function differ by 1e-5; a wrong graph
# by 1e-1.
CHECK = 1e-3
# A network that has hardly been trained can magnify rounding with each of its layers (an
# EfficientNet-b2 after one step: 1e-7 becomes 3e-3). Then this many times what a change of the
# pixels by about a rounding error does is allowed, but never as much as a wrong graph makes.
TIMES, MOST = 10, 3e-2
ROUNDING = 2.5e-4  # of pixels up to 255


def noise(size: tuple[int, int]) -> np.ndarray:
    """Return two images (2,3,H,W) float32 of whole numbers 0..255."""
    return np.random.RandomState(0).randint(0, 256, (2, 3, *size)).astype(np.float32)


def disagreement(
    actual: np.ndarray,
    expected: np.ndarray,
    run: typing.Callable[[np.ndarray], np.ndarray],
    size: tuple[int, int],
) -> tuple[float, float]:
    """Return by how much two outputs for `noise` differ, relative, and how much is allowed.

    Parameters
    ----------
    actual, expected : numpy.ndarray
    run : callable
        What computed one of them: images (2,3,H,W) float32 -> output. Called only when in doubt.
    size : (int, int)
        Height and width of the images.
    """
    largest = max(np.abs(expected).max(), 1e-12)
    error, allowed = np.abs(actual - expected).max() / largest, CHECK
    if not error < CHECK:  # NaN too
        images = noise(size)
        shift = np.random.RandomState(1).uniform(-ROUNDING, ROUNDING, images.shape)
        pair = run(images), run((images + shift).astype(np.float32))
        moved = np.abs(pair[0] - pair[1]).max() / largest
        allowed = float(np.fmin(np.fmax(CHECK, TIMES * moved), MOST))
    return error, allowed
