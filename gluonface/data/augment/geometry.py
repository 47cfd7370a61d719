"""The horizontal flip."""

from ..._compat import cv2
from .augmentation import AUGMENTATIONS, Augmentation, declare, probability
from .hashed_random import FLIP

__all__ = ["Flip"]


@AUGMENTATIONS.register("flip", aliases=("horizontal_flip", "mirror"))
class Flip(Augmentation):
    """Mirror left to right. It is always applied first."""

    name = "flip"
    title = "Horizontal flip"
    stream = FLIP
    parameters = declare(p=probability(0.5))

    def apply(self, image, plan):
        """See `Augmentation.apply`."""
        return cv2.flip(image, 1)
