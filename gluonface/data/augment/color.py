"""Augmentations of colour. All of them are one affine map of RGB, a 3 x 4 matrix per image."""

import numpy as np

from ..._compat import cv2
from .augmentation import AUGMENTATIONS, Augmentation, Parameter, declare, probability

__all__ = ["ColorJitter", "RandomGrey", "color_maps", "transform"]

LUMA = np.array([0.299, 0.587, 0.114])  # Rec. 601, as JPEG's Y
_RED, _GREEN, _BLUE = LUMA.tolist()
# RGB to YIQ. The rows of I and Q sum to 0: a grey has no hue, so no rotation of hue colours it.
YIQ = np.array([LUMA, [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
_BACK = np.linalg.inv(YIQ)
_KEEP = _BACK @ np.diag([1.0, 0.0, 0.0]) @ YIQ
_COSINE = _BACK @ np.diag([0.0, 1.0, 1.0]) @ YIQ
_SINE = _BACK @ np.array([[0.0, 0, 0], [0, 0, -1], [0, 1, 0]]) @ YIQ


def color_maps(brightness, contrast, saturation, hue):
    """Compose brightness, contrast, saturation and hue, in this order, into one map per image.

    Each is linear: brightness multiplies; contrast blends with the image's mean luma; saturation
    blends each pixel with its luma; hue turns the chroma plane (I, Q), which keeps the luma.

    Parameters
    ----------
    brightness, contrast, saturation : numpy.ndarray
        Factors (n,), 0 or more; 1 changes nothing.
    hue : numpy.ndarray
        Turns (n,), -0.5 to 0.5; 0 changes nothing.

    Returns
    -------
    tuple of (numpy.ndarray, list of float)
        Matrices (n, 3, 4), the last column 0, and n factors: a pixel x becomes
        ``matrix[:, :3] @ x + factor * mean luma``.
    """
    angle = (2 * np.pi * hue)[:, None, None]
    turn = _KEEP + np.cos(angle) * _COSINE + np.sin(angle) * _SINE
    s = saturation[:, None, None]
    matrix = np.zeros((len(hue), 3, 4))
    # Every row of (1 - s) 1 w^T is (1 - s) w.
    matrix[..., :3] = (contrast * brightness)[:, None, None] * (s * turn + (1 - s) * LUMA)
    return matrix, ((1 - contrast) * brightness).tolist()


def transform(image, matrix, factor=0.0):
    """Return ``matrix[:, :3] @ x + factor * mean luma`` for every pixel x, rounded, in 0..255.

    `matrix` is float64 (3, 4); its last column is overwritten.
    """
    if factor:
        red, green, blue, _ = cv2.mean(image)
        matrix[:, 3] = factor * (_RED * red + _GREEN * green + _BLUE * blue)
    # OpenCV computes this in fixed point with 10 bits: at most 1 level off.
    return cv2.transform(image, matrix)


@AUGMENTATIONS.register("color_jitter", aliases=("colorjitter", "colour_jitter"))
class ColorJitter(Augmentation):
    """Change brightness, contrast, saturation and hue at random, in this order.

    A value v of the first three means a factor between 1 - v and 1 + v, of `hue` an angle between
    -v and v turns. The four are one matrix, so nothing is cut off between them and they cost
    little. Hue turns the chroma plane of YIQ; libraries that shift the angle of HSV change the
    luma as well.
    """

    name = "color_jitter"
    title = "Colour jitter"
    stream = 0x100
    draws = 4
    parameters = declare(
        brightness=Parameter(0.4, "largest change of the brightness factor", low=0, high=1),
        contrast=Parameter(0.4, "largest change of the contrast factor", low=0, high=1),
        saturation=Parameter(0.4, "largest change of the saturation factor", low=0, high=1),
        hue=Parameter(0.0, "largest change of the hue", "turns", low=0, high=0.5),
        p=probability(1.0),
    )

    def plan(self, drawn, shape):
        """See `Augmentation.plan`."""
        signed = 2 * drawn - 1
        maps = color_maps(
            1 + self.brightness * signed[:, 0],
            1 + self.contrast * signed[:, 1],
            1 + self.saturation * signed[:, 2],
            self.hue * signed[:, 3],
        )
        return zip(*maps)

    def apply(self, image, plan):
        """See `Augmentation.apply`."""
        return transform(image, *plan)


@AUGMENTATIONS.register("random_grey", aliases=("random_gray", "grey", "gray"))
class RandomGrey(Augmentation):
    """Replace the colours by their luma, in all three channels."""

    name = "random_grey"
    title = "Random grey"
    stream = 0x200
    parameters = declare(p=probability(0.2))

    def apply(self, image, plan):
        """See `Augmentation.apply`."""
        return cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
