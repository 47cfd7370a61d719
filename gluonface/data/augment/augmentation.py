"""The base class of all augmentations: declared parameters, and what changes drawn from hashes.

An augmentation works in two steps. `Augmentation.plan` turns the random numbers of a whole batch
into one plan per image, in NumPy; `Augmentation.apply` changes one image by its plan, in OpenCV,
which lets other threads run.
"""

from __future__ import annotations

import typing

import numpy as np

from ...errors import InputError
from ...parameters import Declared, Parameter, declare
from ...registry import Registry
from .hashed_random import uniform

__all__ = [
    "AUGMENTATIONS",
    "Augmentation",
    "Parameter",
    "declare",
    "integers",
    "probability",
    "scaled",
]

AUGMENTATIONS = Registry("augmentation")


def probability(default):
    """Return the declaration of the parameter `p`, which every augmentation has."""
    return Parameter(default, "share of the images that it changes", low=0, high=1)


class Augmentation(Declared):
    """One augmentation. Subclasses declare `parameters` and override `plan` and `apply`.

    Of parameters ``min_NAME`` and ``max_NAME`` the first must not be above the second.

    Attributes
    ----------
    title, paper : str
        For the docs; `paper` is an arXiv number or empty.
    stream : int
        The stream of its random numbers. It must never change, or resumed runs would change.
    draws : int
        How many random numbers `plan` gets for each image.
    mixes : bool
        Whether it takes two images (`gluonface.data.augment.mixing`).
    p : float
        The share of the images that it changes.
    """

    title = paper = ""
    stream = 0
    draws = 0
    mixes = False
    p: float

    def __init__(self, **params):
        super().__init__(**params)
        for low in self.parameters:
            high = low.replace("min_", "max_", 1)
            if high != low and getattr(self, low) > getattr(self, high):
                raise InputError(
                    f"{self.name}: {low}={getattr(self, low):g} is above {high}="
                    f"{getattr(self, high):g}; swap them"
                )

    def plans(
        self, seed: int, epoch: int, keys: np.ndarray, shape: typing.Sequence[int] | None
    ) -> list:
        """Return one plan per image; None leaves an image as it is.

        Parameters
        ----------
        seed, epoch : int
        keys : numpy.ndarray
            int64 (n,), the samples.
        shape : tuple of int
            (height, width) of the images.
        """
        chosen = uniform(seed, epoch, keys, self.stream) >= 1.0 - self.p
        if not chosen.any():
            return [None] * len(keys)
        drawn = np.empty((len(keys), self.draws))
        for slot in range(self.draws):
            drawn[:, slot] = uniform(seed, epoch, keys, self.stream + 1 + slot)
        plans = self.plan(drawn, shape)
        return [plan if mine else None for plan, mine in zip(plans, chosen.tolist())]

    def plan(self, drawn: np.ndarray, shape: typing.Any) -> typing.Iterable:
        """Return one plan per row of `drawn`, float64 (n, draws) in [0, 1)."""
        return [True] * len(drawn)

    def apply(self, image: np.ndarray, plan: typing.Any) -> np.ndarray:
        """Return the changed image, uint8 (H, W, 3) RGB; it may be `image` itself."""
        raise NotImplementedError


def scaled(low, high, drawn):
    """Return numbers in [low, high) from numbers in [0, 1)."""
    return low + (high - low) * drawn


def integers(count, drawn):
    """Return whole numbers from 0 to count - 1 from numbers in [0, 1)."""
    return np.minimum((drawn * count).astype(np.int64), np.asarray(count) - 1)
