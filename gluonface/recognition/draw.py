"""Drawing found faces on a copy of a photograph: boxes, landmarks, and words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .._compat import cv2
from .faces import PhotoFace

__all__ = ["beside", "draw_faces"]

# RGB. The words say the same: never colour alone.
COLOURS = {"yes": (0, 140, 60), "no": (200, 30, 30), "": (40, 90, 200)}
FONT = 0  # cv2.FONT_HERSHEY_SIMPLEX


def draw_faces(
    image: np.ndarray, faces: Sequence[PhotoFace], texts: Sequence[str], verdict: str = ""
) -> np.ndarray:
    """Return a copy of a photograph with its faces marked.

    Parameters
    ----------
    image : numpy.ndarray
        uint8 (H, W, 3) RGB.
    faces : sequence of PhotoFace
    texts : sequence of str
        What to write at each face; lines split by newlines. Letters that the font lacks become ?.
    verdict : {"yes", "no", ""}
        The colour.
    """
    canvas = np.ascontiguousarray(image).copy()
    colour = COLOURS[verdict]
    scale = max(0.4, max(image.shape[:2]) / 1000)
    thick = max(1, round(2 * scale))
    for face, text in zip(faces, texts):
        left, top, width, height = (round(v) for v in face.box)
        cv2.rectangle(canvas, (left, top), (left + width, top + height), colour, thick)
        for x, y in () if face.points is None else face.points:
            cv2.circle(canvas, (round(x), round(y)), max(1, thick), colour, -1)
        lines = text.encode("ascii", "replace").decode().split("\n") if text else []
        for number, line in enumerate(lines):
            (across, up), below = cv2.getTextSize(line, FONT, scale, thick)
            x = min(max(left, 0), max(canvas.shape[1] - across, 0))
            y = min(top + height + (number + 1) * (up + below + 2), canvas.shape[0] - below)
            cv2.rectangle(canvas, (x, y - up - 1), (x + across, y + below), (255, 255, 255), -1)
            cv2.putText(canvas, line, (x, y), FONT, scale, colour, thick, cv2.LINE_AA)
    return canvas


def beside(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return two pictures side by side, at the height of the higher one."""
    height = max(one.shape[0], other.shape[0])
    sides = []
    for image in (one, other):
        factor = height / image.shape[0]
        size = max(1, round(image.shape[1] * factor)), height
        sides.append(image if factor == 1 else cv2.resize(image, size))
    gap = np.full((height, 8, 3), 255, np.uint8)
    return np.concatenate([sides[0], gap, sides[1]], axis=1)
