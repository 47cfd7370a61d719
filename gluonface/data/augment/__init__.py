"""Augmentations, each a pure function of (seed, epoch, sample).

The same on any number of workers and ranks, in any order, and after a resume.
"""

from .augmentation import AUGMENTATIONS, Augmentation
from .color import ColorJitter, RandomGrey
from .erasing import Cutout, RandomErasing
from .geometry import Flip
from .hashed_random import FLIP, flips, hash64, uniform
from .mixing import CutMix, Mixup, beta
from .pipeline import Pipeline, describe, read_augmentations
from .quality import GaussianBlur, Jpeg, LowResolution
from .randaugment import RandAugment

__all__ = [
    "AUGMENTATIONS",
    "FLIP",
    "Augmentation",
    "ColorJitter",
    "CutMix",
    "Cutout",
    "Flip",
    "GaussianBlur",
    "Jpeg",
    "LowResolution",
    "Mixup",
    "Pipeline",
    "RandAugment",
    "RandomErasing",
    "RandomGrey",
    "beta",
    "describe",
    "flips",
    "hash64",
    "read_augmentations",
    "uniform",
]
