"""What may cover a face: glasses, strands of hair, a patch, a hand."""

from __future__ import annotations

import numpy as np

from ..._compat import cv2
from .modelling import dot, line, paint
from .traits import SKIN, between

__all__ = ["occlude", "paint_glasses"]

_SIZE = 112


def paint_glasses(canvas, t, c):
    """Paint glasses on the canvas, before the pose turns it."""
    random = c.random
    colour = random.pick(((24, 22, 24), (70, 44, 28), (150, 140, 120), (120, 30, 34), (40, 50, 90)))
    rx, ry = random.uniform(10.0, 13.5), random.uniform(7.5, 11.5)
    rx = min(rx, t.eye_x - 2.2)
    thick = random.uniform(0.8, 2.4)
    box = random.chance(0.5)
    y = 52.6
    for side in (-1, 1):
        x = side * (t.eye_x + 0.8)
        if c.glasses == "dark":
            paint(canvas, _lens(x, y, rx, ry, box), (26, 24, 26), 0.93)
        elif random.chance(0.3):
            paint(canvas, _lens(x, y, rx, ry, box), (225, 232, 240), 0.16)
        ring = np.concatenate(
            [
                _closed(_lens(x, y, rx + thick, ry + thick, box)),
                _closed(_lens(x, y, rx, ry, box))[::-1],
            ]
        )
        paint(canvas, ring, colour, 0.95)
        arm = [(side * (t.eye_x + rx), y - 3), (side * (t.width + 6), y - 4.5),
               (side * (t.width + 6), y - 2.5), (side * (t.eye_x + rx), y - 1)]  # fmt: skip
        paint(canvas, arm, colour, 0.9)
    gap = t.eye_x + 0.8 - rx
    bridge = [
        (-gap, y - 2.5),
        (0, y - 4.0),
        (gap, y - 2.5),
        (gap, y - 1.0),
        (0, y - 2.6),
        (-gap, y - 1.0),
    ]
    paint(canvas, bridge, colour, 0.95)


def _lens(x, y, rx, ry, box):
    """Return the outline of a lens: an ellipse, or nearly a rectangle."""
    shape = dot(0.0, 0.0, 1.0)
    if box:
        shape = np.clip(shape * 1.25, -1.0, 1.0)
    return shape * (rx, ry) + (x, y)


def _closed(points):
    return np.concatenate([points, points[:1]])


def occlude(lit, t, c):
    """Put this image's occluder, if any, over the lit crop (float32 (3, 112, 112)), in place."""
    kind = "patch" if c.occluder == "strands" and t.style in ("bald", "buzz") else c.occluder
    if kind == "none":
        return
    mask = np.zeros((_SIZE, _SIZE), np.uint8)
    relief = np.zeros((_SIZE, _SIZE), np.uint8)
    random = c.random
    if kind == "strands":
        colour = np.asarray(t.hair) * 0.9
        x = random.uniform(15.0, 97.0)
        for _ in range(int(random.uniform(4, 12))):
            start = x + random.bell(0.0, 5.0)
            lean = random.bell(0.0, 9.0) + 0.3 * (56.0 - x)
            low = random.uniform(45.0, 85.0)
            s = np.linspace(0.0, 1.0, 9)
            strand = line(start + lean * s * s, -4.0 + (low + 4.0) * s)
            cv2.polylines(mask, [_fixed(strand)], False, int(random.uniform(150, 255)),
                          1 if random.chance(0.6) else 2, cv2.LINE_AA, 4)  # fmt: skip
        relief[:] = 150
    elif kind == "patch":
        x, y = _place_of_patch(random)
        w, h = random.uniform(9.0, 22.0), random.uniform(9.0, 22.0)
        lean = random.bell(0.0, 0.4)
        corners = np.array([(-w, -h), (w, -h), (w, h), (-w, h)])
        corners = corners + corners[:, ::-1] * (-lean, lean) + (x, y)
        cv2.fillPoly(mask, [_fixed(corners)], 255, cv2.LINE_AA, 4)
        colour = np.array([random.uniform(20, 235) for _ in range(3)])
        relief[:] = 160
    else:  # a hand: fingers side by side, from below or from the side
        x, y = random.uniform(14.0, 98.0), random.uniform(78.0, 100.0)
        lean = (56.0 - x) * 0.25
        width = random.uniform(8.5, 11.5)
        own = (
            np.asarray(t.skin)
            if random.chance(0.7)
            else np.asarray(between(SKIN, random.uniform()))
        )
        colour = own * 0.95
        for finger in range(4):
            fx = x + (finger - 1.5) * width
            top = y + abs(finger - 1.4) * 4.0 + random.uniform(0.0, 3.0)
            start, end = _fixed([(fx, 125.0), (fx + lean, top)]).tolist()
            cv2.line(mask, start, end, 255, round(width), cv2.LINE_AA, 4)
            for share, value in ((1.0, 105), (0.75, 140), (0.5, 170), (0.25, 185)):
                thick = max(1, round(share * width))
                cv2.line(relief, start, end, value, thick, cv2.LINE_AA, 4)
        relief = cv2.blur(relief, (5, 5))
    shade = relief.astype(np.float32) * np.float32(1 / 160)
    shade *= shade
    alpha = mask.astype(np.float32) * np.float32(1 / 255)
    for plane, base, key, sky in zip(lit, colour, c.key_colour, c.sky_colour):
        base = base / 255
        cover = np.float32(base * base * (0.6 * key + sky)) * shade
        plane += (cover - plane) * alpha


def _place_of_patch(random):
    """Return a place for a patch: around the edge of the face rather than in its middle."""
    x, y = random.uniform(8.0, 104.0), random.uniform(8.0, 104.0)
    return (x, y) if abs(x - 56) + abs(y - 66) > 26 else (x, 104.0)


def _fixed(points):
    """Turn crop coordinates into OpenCV's fixed point with 4 fractional bits."""
    return np.rint(np.asarray(points, np.float64) * 16).astype(np.int32)
