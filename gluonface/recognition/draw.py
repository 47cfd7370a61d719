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
READABLE = 400  # pixels of the longer side that words need


def draw_faces(
    image: np.ndarray, faces: Sequence[PhotoFace], texts: Sequence[str], verdict: str = ""
) -> np.ndarray:
    """Return a copy of a photograph with its faces marked; a small one is enlarged.

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
    factor = max(1, -(-READABLE // max(image.shape[:2])))
    canvas = np.ascontiguousarray(image.repeat(factor, axis=0).repeat(factor, axis=1))
    if factor == 1:
        canvas = canvas.copy()
    colour = COLOURS[verdict]
    scale = max(0.4, max(canvas.shape[:2]) / 1000)
    thick = max(1, round(2 * scale))
    for face, text in zip(faces, texts):
        left, top, width, height = (round(v * factor) for v in face.box)
        cv2.rectangle(canvas, (left, top), (left + width, top + height), colour, thick)
        for x, y in () if face.points is None else face.points:
            cv2.circle(canvas, (round(x * factor), round(y * factor)), max(1, thick), colour, -1)
        lines = text.encode("ascii", "replace").decode().split("\n") if text else []
        for number, line in enumerate(lines):
            (across, up), below = cv2.getTextSize(line, FONT, scale, thick)
            x = min(max(left, 0), max(canvas.shape[1] - across, 0))
            step = up + below + 2  # below the box, or at the bottom where there is no room
            first = min(top + height, canvas.shape[0] - below - len(lines) * step)
            y = first + (number + 1) * step
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
