"""Augmentations that lose detail: blur, JPEG, low resolution."""

import math

import numpy as np

from ..._compat import cv2
from .augmentation import AUGMENTATIONS, Augmentation, Parameter, declare, probability, scaled

__all__ = ["GaussianBlur", "Jpeg", "LowResolution"]


@AUGMENTATIONS.register("gaussian_blur", aliases=("blur",))
class GaussianBlur(Augmentation):
    """Blur with a Gaussian of random width, cut off at 3 sigma; edges are reflected."""

    name = "gaussian_blur"
    title = "Gaussian blur"
    stream = 0x300
    draws = 1
    parameters = declare(
        min_sigma=Parameter(0.1, "smallest standard deviation", "pixels", above=0, high=20),
        max_sigma=Parameter(2.0, "largest standard deviation", "pixels", above=0, high=20),
        p=probability(0.5),
    )

    def plan(self, drawn, shape):
        """See `Augmentation.plan`."""
        return scaled(self.min_sigma, self.max_sigma, drawn[:, 0]).tolist()

    def apply(self, image, plan):
        """See `Augmentation.apply`."""
        side = 2 * math.ceil(3 * plan) + 1
        return cv2.GaussianBlur(image, (side, side), plan, borderType=cv2.BORDER_REFLECT_101)


@AUGMENTATIONS.register("jpeg", aliases=("jpeg_compression",))
class Jpeg(Augmentation):
    """Compress as JPEG once more, with chroma at half the resolution, and decode."""

    name = "jpeg"
    title = "JPEG re-compression"
    stream = 0x400
    draws = 1
    parameters = declare(
        min_quality=Parameter(30, "lowest quality", low=1, high=100, whole=True),
        max_quality=Parameter(95, "highest quality", low=1, high=100, whole=True),
        p=probability(0.5),
    )

    def plan(self, drawn, shape):
        """See `Augmentation.plan`."""
        qualities = np.floor(scaled(self.min_quality, self.max_quality + 1, drawn[:, 0]))
        return qualities.astype(np.int64).tolist()

    def apply(self, image, plan):
        """See `Augmentation.apply`."""
        bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, plan])[1]
        bgr = cv2.imdecode(data, cv2.IMREAD_COLOR)
        return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB, dst=bgr)


@AUGMENTATIONS.register("low_resolution", aliases=("downscale", "lowres"))
class LowResolution(Augmentation):
    """Scale down by area averaging and up again bilinearly: a small face, enlarged."""

    name = "low_resolution"
    title = "Low resolution"
    stream = 0x500
    draws = 1
    parameters = declare(
        min_scale=Parameter(0.25, "smallest share of the side that is left", above=0, high=1),
        max_scale=Parameter(1.0, "largest share of the side that is left", above=0, high=1),
        p=probability(0.5),
    )

    def plan(self, drawn, shape):
        """See `Augmentation.plan`."""
        scale = scaled(self.min_scale, self.max_scale, drawn[:, 0])
        sides = np.maximum(1, np.floor(np.outer(scale, shape) + 0.5)).astype(np.int64)
        return [None if tuple(side) == tuple(shape) else tuple(side) for side in sides.tolist()]

    def apply(self, image, plan):
        """See `Augmentation.apply`."""
        height, width = plan
        small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        return cv2.resize(small, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
