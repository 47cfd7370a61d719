"""The template of all augmentations: declared parameters, and plans made of hashed numbers.

An augmentation works in two steps. `Augmentation.plan` turns random numbers of a whole batch into
one plan per image, in NumPy; `Augmentation.apply` carries a plan out on one image, in OpenCV, which
lets other threads run.
"""

import numpy as np

from ...errors import InputError
from ...parameters import Declared, Parameter, declare
from ...registry import Registry
from ._random import uniform

__all__ = [
    "AUGMENTATIONS",
    "Augmentation",
    "Parameter",
    "between",
    "declare",
    "probability",
    "whole",
]

AUGMENTATIONS = Registry("augmentation")


def probability(default):
    """Return the parameter `p` that every augmentation has."""
    return Parameter(default, "share of the images that it changes", low=0, high=1)


class Augmentation(Declared):
    """One augmentation. Subclasses declare `parameters` and override `plan` and `apply`.

    Attributes
    ----------
    title, paper : str
        For the docs; `paper` is an arXiv number or empty.
    stream : int
        Which random numbers are its own. Fixed for good, or resumed runs would change.
    draws : int
        How many random numbers `plan` gets for each image.
    mixes : bool
        Whether it takes two images (`gluonface.data.augment.mixing`).
    """

    title = paper = ""
    stream = 0
    draws = 0
    mixes = False

    def __init__(self, **params):
        super().__init__(**params)
        self.check()

    def check(self):
        """Raise InputError if parameters do not go together."""

    def _ordered(self, low, high):
        """Check that one parameter is not above another."""
        if getattr(self, low) > getattr(self, high):
            raise InputError(
                f"{self.name}: {low}={getattr(self, low):g} is above {high}="
                f"{getattr(self, high):g}; swap them"
            )

    def plans(self, seed, epoch, keys, shape):
        """Return one plan per image; None leaves an image as it is.

        Parameters
        ----------
        seed, epoch : int
        keys : numpy.ndarray
            int64 (n,), which samples.
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

    def plan(self, drawn, shape):
        """Return one plan per row of `drawn`, float64 (n, draws) in [0, 1)."""
        raise NotImplementedError

    def apply(self, image, plan):
        """Return the changed image, uint8 (H, W, 3) RGB; it may be `image` itself."""
        raise NotImplementedError


def between(low, high, drawn):
    """Return numbers of [low, high) for numbers of [0, 1)."""
    return low + (high - low) * drawn


def whole(count, drawn):
    """Return whole numbers from 0 to count - 1 for numbers of [0, 1)."""
    return np.minimum((drawn * count).astype(np.int64), np.asarray(count) - 1)
