"""Alignment: the similarity transform that takes five landmarks to their places in a crop."""

from __future__ import annotations

import numpy as np

from .._compat import cv2
from ..errors import InputError

__all__ = ["TEMPLATE", "align_face", "five_points", "similarity_transform"]

# Left eye, right eye, nose, left and right corner of the mouth as one sees them, (x, y) in pixels
# of a 112 x 112 crop. The positions of ArcFace (arXiv 1801.07698), which nearly all sets use.
TEMPLATE = np.array(
    [
        [38.2946, 51.6963],
        [73.5318, 51.5014],
        [56.0252, 71.7366],
        [41.5493, 92.3655],
        [70.7299, 92.2041],
    ]
)
SIZE = 112


def five_points(points) -> np.ndarray:
    """Return five landmarks (5, 2) float64, checked, from 5 or 68 of them.

    Of 68 points (the usual order of the 300-W annotations) an eye is the middle of its corners.

    Parameters
    ----------
    points : array (5, 2) or (68, 2)
        (x, y) in pixels.

    Raises
    ------
    InputError
        If the shape is another one, a value is not finite, or all points are one.
    """
    points = np.asarray(points, np.float64)
    if points.shape == (68, 2):
        eyes = (points[36] + points[39]) / 2, (points[42] + points[45]) / 2
        points = np.stack([*eyes, points[30], points[48], points[54]])
    if points.shape != (5, 2):
        raise InputError(f"landmarks of the shape {points.shape}; (5, 2) or (68, 2) was expected")
    if not np.isfinite(points).all():
        raise InputError(f"landmarks {points.tolist()} are not finite")
    if np.ptp(points, axis=0).max() < 1e-3:
        raise InputError(f"the landmarks are all at {points[0].tolist()}; five places are needed")
    return points


def similarity_transform(points, target: np.ndarray = TEMPLATE) -> np.ndarray:
    """Return the similarity that takes `points` to `target` best in the least-squares sense.

    Rotation, one scale and shift, no reflection (Umeyama, IEEE TPAMI 13(4), 1991; in the plane
    the solution has a closed form).

    Parameters
    ----------
    points, target : array (n, 2)
        (x, y), n at least 2.

    Returns
    -------
    numpy.ndarray (2, 3) float64
        ``[[a, -b, tx], [b, a, ty]]``; a point goes to ``matrix @ (x, y, 1)``.
    """
    points, target = np.asarray(points, np.float64), np.asarray(target, np.float64)
    middle, goal = points.mean(axis=0), target.mean(axis=0)
    p, q = points - middle, target - goal
    norm = (p * p).sum()
    a = (p * q).sum() / norm
    b = (p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0]).sum() / norm
    rotation = np.array([[a, -b], [b, a]])
    return np.hstack([rotation, (goal - rotation @ middle)[:, None]])


def align_face(image: np.ndarray, points, size: int = SIZE) -> np.ndarray:
    """Cut the aligned crop of one face out of a photograph.

    Parameters
    ----------
    image : numpy.ndarray
        uint8 (H, W, 3), any colour order.
    points : array (5, 2) or (68, 2)
        Its landmarks, (x, y) in pixels of `image`; see `five_points`.
    size : int, default 112
        Height and width of the crop; other sizes are the same crop, finer or coarser.

    Returns
    -------
    numpy.ndarray
        uint8 (size, size, 3); black where the photograph ends. Bilinear.
    """
    factor = size / SIZE
    matrix = similarity_transform(five_points(points), TEMPLATE * factor)
    return cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR, borderValue=0)
