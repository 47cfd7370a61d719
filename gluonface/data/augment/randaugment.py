"""RandAugment: a few operations of a list, all at one strength."""

from __future__ import annotations

import typing

import numpy as np

from ..._compat import cv2
from ...errors import InputError
from .augmentation import AUGMENTATIONS, Augmentation, Parameter, declare, integers, probability
from .color import LUMA, transform

__all__ = ["FACE_OPERATIONS", "OPERATIONS", "RandAugment"]

_EYE = np.eye(3, 4)
_TO_GREY = np.zeros((3, 4))
_TO_GREY[:, :3] = LUMA
_GREY = 128  # what comes in from outside the image
_SMOOTH = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]], np.float32) / 13


def _identity(image, m):
    return image


def _auto_contrast(image, m):
    """Stretch each channel to 0..255."""
    table = np.empty((1, 256, 3), np.uint8)
    for channel in range(3):
        low, high = cv2.minMaxLoc(cv2.extractChannel(image, channel))[:2]
        values = np.arange(256.0)
        if high > low:
            values = np.clip((values - low) * 255 / (high - low), 0, 255)
        table[0, :, channel] = values
    return cv2.LUT(image, table)


def _equalize(image, m):
    """Equalise the histogram of each channel."""
    table = np.empty((1, 256, 3), np.uint8)
    for channel in range(3):
        counts = cv2.calcHist([image], [channel], None, [256], [0, 256])
        counts = counts.ravel().astype(np.int64)  # (256, 1) up to OpenCV 4, (256,) in OpenCV 5
        used = counts[counts > 0]
        step = int(used.sum() - used[-1]) // 255
        below = np.cumsum(counts) - counts
        table[0, :, channel] = (
            np.minimum((below + step // 2) // step, 255) if step else np.arange(256)
        )
    return cv2.LUT(image, table)


def _solarize(image, m):
    """Invert what is at or above the threshold 256 (1 - m)."""
    levels = np.arange(256)
    return cv2.LUT(image, np.where(levels < 256 * (1 - m), levels, 255 - levels).astype(np.uint8))


def _posterize(image, m):
    """Keep 8 to 4 bits of each level."""
    mask = 256 - (1 << int(4 * m + 0.5))
    return cv2.LUT(image, (np.arange(256) & mask).astype(np.uint8))


def _color(image, m):
    return transform(image, (1 + 0.9 * m) * _EYE - 0.9 * m * _TO_GREY)


def _contrast(image, m):
    return transform(image, (1 + 0.9 * m) * _EYE, -0.9 * m)


def _brightness(image, m):
    return transform(image, (1 + 0.9 * m) * _EYE)


def _sharpness(image, m):
    """Blend with a smoothed copy; the outermost pixels stay."""
    smooth = cv2.filter2D(image, -1, _SMOOTH)
    result = cv2.addWeighted(image, 1 + 0.9 * m, smooth, -0.9 * m, 0)
    result[[0, -1]], result[:, [0, -1]] = image[[0, -1]], image[:, [0, -1]]
    return result


def _warp(image, a, b, c, d, shift=(0.0, 0.0)):
    """Take pixel (x, y) from (a x + b y, c x + d y) around the middle, plus a shift."""
    height, width = image.shape[:2]
    x, y = (width - 1) / 2, (height - 1) / 2
    source = np.array([[a, b, x - a * x - b * y], [c, d, y - c * x - d * y]])
    source[:, 2] += shift
    return cv2.warpAffine(
        image,
        source,
        (width, height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderValue=(_GREY, _GREY, _GREY),
    )


def _rotate(image, m):
    angle = np.radians(30 * m)
    return _warp(image, np.cos(angle), np.sin(angle), -np.sin(angle), np.cos(angle))


def _shear_x(image, m):
    return _warp(image, 1, 0.3 * m, 0, 1)


def _shear_y(image, m):
    return _warp(image, 1, 0, 0.3 * m, 1)


def _translate_x(image, m):
    return _warp(image, 1, 0, 0, 1, (0.45 * m * image.shape[1], 0))


def _translate_y(image, m):
    return _warp(image, 1, 0, 0, 1, (0, 0.45 * m * image.shape[0]))


# name: (function of image and strength, whether the strength has a sign)
OPERATIONS = {
    "identity": (_identity, False),
    "auto_contrast": (_auto_contrast, False),
    "equalize": (_equalize, False),
    "rotate": (_rotate, True),
    "solarize": (_solarize, False),
    "color": (_color, True),
    "posterize": (_posterize, False),
    "contrast": (_contrast, True),
    "brightness": (_brightness, True),
    "sharpness": (_sharpness, True),
    "shear_x": (_shear_x, True),
    "shear_y": (_shear_y, True),
    "translate_x": (_translate_x, True),
    "translate_y": (_translate_y, True),
}
# Without those that undo the alignment or turn skin into its negative.
FACE_OPERATIONS = (
    "identity",
    "auto_contrast",
    "equalize",
    "color",
    "contrast",
    "brightness",
    "sharpness",
)


class _OperationsParameter(Parameter):
    """The operations to draw from: ``face``, ``all``, or a list of names."""

    @property
    def allowed(self):
        return "face, all, or a list of operations: " + ", ".join(OPERATIONS)

    def check(self, owner, name, value):
        if value in ("face", "all"):
            return value
        known = isinstance(value, (list, tuple)) and all(
            isinstance(one, str) and one in OPERATIONS for one in value
        )
        if known and value and len(set(value)) == len(value):
            return list(value)
        raise InputError(f"{owner}: {name}={value!r} is not allowed; it must be {self.allowed}")


@AUGMENTATIONS.register("rand_augment", aliases=("randaug", "randaugment"))
class RandAugment(Augmentation):
    """Apply `n` operations, drawn with replacement, each at the strength `m` of 30.

    The list and the ranges are the paper's. Operations with a direction (colour, contrast,
    brightness, sharpness, rotation, shear, translation) take it at random. Shears and rotations
    are about the middle of the image; what comes in from outside is grey.

    ``ops: face``, the default, leaves out what moves the landmarks from their aligned
    positions (rotate, shear, translate) and what inverts or bands the skin (solarize, posterize).
    """

    name = "rand_augment"
    title = "RandAugment"
    paper = "1909.13719"
    stream = 0x800
    ops: typing.Any
    parameters = declare(
        n=Parameter(2, "operations per image", low=1, high=14, whole=True),
        m=Parameter(9, "strength of every operation, of 30", low=0, high=30),
        ops=_OperationsParameter("face", "operations to draw from"),
        p=probability(1.0),
    )

    @property
    def draws(self):  # type: ignore[override]
        """See `Augmentation`."""
        return 2 * self.n

    @property
    def names(self) -> list[str]:
        """The names of the operations to draw from."""
        words = {"face": list(FACE_OPERATIONS), "all": list(OPERATIONS)}
        return words[self.ops] if isinstance(self.ops, str) else self.ops

    def plan(self, drawn, shape):
        """See `Augmentation.plan`."""
        chosen = integers(len(self.names), drawn[:, 0::2]).tolist()
        negative = (drawn[:, 1::2] < 0.5).tolist()
        strength = self.m / 30
        entries = [OPERATIONS[name] for name in self.names]
        return [
            [
                (entries[which][0], -strength if minus and entries[which][1] else strength)
                for which, minus in zip(*row)
            ]
            for row in zip(chosen, negative)
        ]

    def apply(self, image, plan):
        """See `Augmentation.apply`."""
        for operation, strength in plan:
            image = operation(image, strength)
        return image
