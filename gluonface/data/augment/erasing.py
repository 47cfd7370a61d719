"""Augmentations that hide a rectangle: random erasing and Cutout."""

from __future__ import annotations

import numpy as np

from .augmentation import (
    AUGMENTATIONS,
    Augmentation,
    Parameter,
    declare,
    integers,
    probability,
    scaled,
)

__all__ = ["Cutout", "RandomErasing"]

_ATTEMPTS = 10


def _noise(key, shape):
    """Return uint8 noise of a 53-bit key; NumPy keeps the bits of Philox the same."""
    count = shape[0] * shape[1] * 3
    raw = np.random.Philox(key=key).random_raw(-(-count // 8))
    return raw.astype("<u8", copy=False).view(np.uint8)[:count].reshape(*shape, 3)


class _FilledRectangle(Augmentation):
    """Fills the rectangle (top, left, bottom, right) of its plan with noise or a grey level."""

    fill: float | None

    def apply(self, image, plan):
        """See `Augmentation.apply`."""
        top, left, bottom, right, key = plan
        noise = self.fill is None
        hole = _noise(key, (bottom - top, right - left)) if noise else round(self.fill)
        image[top:bottom, left:right] = hole
        return image


@AUGMENTATIONS.register("random_erasing", aliases=("randerasing", "erase"))
class RandomErasing(_FilledRectangle):
    """Erase a rectangle of random area, shape and place that lies within the image.

    The area is a uniform share of the image and height / width is uniform; both are drawn again
    until the rectangle fits, at most 10 times, else the image is left as it is.
    """

    name = "random_erasing"
    title = "Random erasing"
    paper = "1708.04896"
    stream = 0x600
    draws = 2 * _ATTEMPTS + 3
    parameters = declare(
        min_area=Parameter(0.02, "smallest share of the image", above=0, high=1),
        max_area=Parameter(0.4, "largest share of the image", above=0, high=1),
        min_aspect=Parameter(0.3, "smallest height / width", above=0, high=100),
        max_aspect=Parameter(1 / 0.3, "largest height / width", above=0, high=100),
        fill=Parameter(
            None,
            "grey level of the hole; none: noise, 0 to 255 in each pixel and channel",
            low=0,
            high=255,
        ),
        p=probability(0.5),
    )

    def plan(self, drawn, shape):
        """See `Augmentation.plan`."""
        pairs = drawn[:, : 2 * _ATTEMPTS].reshape(-1, _ATTEMPTS, 2)
        area = scaled(self.min_area, self.max_area, pairs[..., 0]) * (shape[0] * shape[1])
        aspect = scaled(self.min_aspect, self.max_aspect, pairs[..., 1])
        sides = np.stack([np.sqrt(area * aspect), np.sqrt(area / aspect)], axis=-1)
        sides = np.floor(sides + 0.5).astype(np.int64)
        fits = ((sides >= 1) & (sides <= shape)).all(-1)
        sides = sides[np.arange(len(sides)), fits.argmax(1)]
        place, keys = drawn[:, -3:-1], drawn[:, -1] * 2.0**53
        corner = integers(np.maximum(1, np.asarray(shape) - sides + 1), place)
        boxes = np.concatenate([corner, corner + sides], axis=1).tolist()
        return [
            (*box, key) if fit else None
            for box, key, fit in zip(boxes, keys.astype(np.int64).tolist(), fits.any(1))
        ]


@AUGMENTATIONS.register("cutout")
class Cutout(_FilledRectangle):
    """Fill a square around a random pixel; what reaches beyond the image is cut off.

    The paper fills with 0 after normalisation, the mean: here grey.
    """

    name = "cutout"
    title = "Cutout"
    paper = "1708.04552"
    stream = 0x700
    draws = 2
    parameters = declare(
        size=Parameter(0.5, "side of the square, as a share of the shorter side", above=0, high=2),
        fill=Parameter(128, "grey level of the square", low=0, high=255),
        p=probability(1.0),
    )

    def plan(self, drawn, shape):
        """See `Augmentation.plan`."""
        side = max(1, round(self.size * min(shape)))
        corner = integers(np.asarray(shape), drawn[:, :2]) - side // 2
        boxes = np.concatenate([corner, corner + side], axis=1)
        boxes = np.clip(boxes, 0, np.tile(shape, 2)).tolist()
        return [(*box, 0) for box in boxes]
