"""Augmentations that mix two images: Mixup and CutMix.

The mixed image keeps both labels and the share of its own: the loss is
``share * loss(label) + (1 - share) * loss(other label)``, each term with the margin on its label
(`gluonface.training.mixing`).
"""

import functools

import numpy as np

from ..._compat import cv2
from .augmentation import AUGMENTATIONS, Augmentation, Parameter, declare, integers, probability

__all__ = ["CutMix", "Mixup", "beta"]


@functools.lru_cache(maxsize=8)
def _beta_table(alpha):
    """Return the lower half of Beta(alpha, alpha): its distribution function over ``x ** root``.

    Below alpha 1 the density has a pole at 0, which the power removes.
    """
    root = min(alpha, 1.0)
    t = np.linspace(0.0, 0.5**root, 1 << 14)
    x = t ** (1 / root)
    density = (1 - x) ** (alpha - 1) * x ** (alpha - root)
    area = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2)])
    return area * (0.5 / area[-1]), t, root


def beta(alpha, drawn):
    """Return numbers of Beta(alpha, alpha) for uniform numbers of [0, 1), by inversion."""
    mass, t, root = _beta_table(float(alpha))
    lower = np.interp(np.minimum(drawn, 1 - drawn), mass, t) ** (1 / root)
    return np.where(drawn < 0.5, lower, 1 - lower)


class _Mixing(Augmentation):
    """An augmentation of two images. A plan is of one image; `mix` returns the share it keeps."""

    mixes = True

    def mix(self, image, other, out, plan):
        """Write the mixture of two images into `out`; return the share of the first.

        Parameters
        ----------
        image, other, out : numpy.ndarray
            uint8 (3, H, W).
        plan : tuple
        """
        raise NotImplementedError


@AUGMENTATIONS.register("mixup")
class Mixup(_Mixing):
    """Add two images, weighted by a share that is drawn from Beta(alpha, alpha)."""

    name = "mixup"
    title = "Mixup"
    paper = "1710.09412"
    stream = 0x900
    draws = 1
    parameters = declare(
        alpha=Parameter(0.2, "of the distribution of the shares; 1: uniform", above=0, high=10),
        p=probability(1.0),
    )

    def plan(self, drawn, shape):
        """See `Augmentation.plan`."""
        return beta(self.alpha, drawn[:, 0]).tolist()

    def mix(self, image, other, out, plan):
        """See `_Mixing.mix`."""
        flat = (-1, image.shape[-1])
        cv2.addWeighted(
            image.reshape(flat), plan, other.reshape(flat), 1 - plan, 0, dst=out.reshape(flat)
        )
        return plan


@AUGMENTATIONS.register("cutmix")
class CutMix(_Mixing):
    """Put a rectangle of another image at its place into this one.

    With a share s of Beta(alpha, alpha), the rectangle has sqrt(1 - s) of either side, around a
    random pixel. It is cut off at the edges; the share becomes that of the pixels that are kept.
    """

    name = "cutmix"
    title = "CutMix"
    paper = "1905.04899"
    stream = 0xA00
    draws = 3
    parameters = declare(
        alpha=Parameter(1.0, "of the distribution of the shares; 1: uniform", above=0, high=10),
        p=probability(1.0),
    )

    def plan(self, drawn, shape):
        """See `Augmentation.plan`."""
        side = np.sqrt(1 - beta(self.alpha, drawn[:, 0]))[:, None]
        half = np.floor(side * np.asarray(shape)).astype(np.int64) // 2
        middle = integers(np.asarray(shape), drawn[:, 1:])
        boxes = np.concatenate([middle - half, middle + half], axis=1)
        return np.clip(boxes, 0, np.tile(shape, 2)).tolist()

    def mix(self, image, other, out, plan):
        """See `_Mixing.mix`."""
        top, left, bottom, right = plan
        out[...] = image
        out[:, top:bottom, left:right] = other[:, top:bottom, left:right]
        return 1 - (bottom - top) * (right - left) / (out.shape[1] * out.shape[2])
