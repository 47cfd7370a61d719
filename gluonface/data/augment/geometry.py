"""The horizontal flip."""

from ..._compat import cv2
from ._base import AUGMENTATIONS, Augmentation, declare, probability
from ._random import FLIP

__all__ = ["Flip"]


@AUGMENTATIONS.register("flip", aliases=("horizontal_flip", "mirror"))
class Flip(Augmentation):
    """Mirror left to right. It comes first, wherever it stands in the list."""

    name = "flip"
    title = "Horizontal flip"
    stream = FLIP
    parameters = declare(p=probability(0.5))

    def plan(self, drawn, shape):
        """See `Augmentation.plan`."""
        return [True] * len(drawn)

    def apply(self, image, plan):
        """See `Augmentation.apply`."""
        return cv2.flip(image, 1)
