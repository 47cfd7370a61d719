"""Augmentations, each a pure function of (seed, epoch, sample).

The same on any number of workers and ranks, in any order, and after a resume.
"""

from . import color, erasing, geometry, quality, randaugment  # noqa: F401  (they register)
from ._base import AUGMENTATIONS, Augmentation
from ._random import FLIP, flips, hash64, uniform
from .mixing import beta
from .pipeline import Pipeline, describe, read_augmentations

__all__ = [
    "AUGMENTATIONS",
    "FLIP",
    "Augmentation",
    "Pipeline",
    "beta",
    "describe",
    "flips",
    "hash64",
    "read_augmentations",
    "uniform",
]
