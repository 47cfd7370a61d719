"""Hair, beard, ears and neck, and the whole head: these around the face of `modelling`."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from ..._compat import cv2
from .modelling import (
    CENTRE,
    MARGIN,
    SCALE,
    SIDE,
    X,
    Y,
    blend,
    dot,
    fill,
    half_width,
    line,
    noise,
    outline,
    paint,
    relief,
    skin,
    soften,
)
from .traits import KeyedRandom

__all__ = ["model_head"]

DRAPED = ("long", "long fringe", "bob")
DEPTH = 4  # levels of the uint8 depth map per pixel


def _hairline(t):
    """Return the line between forehead and hair from left to right, (N, 2)."""
    s = np.linspace(-1.0, 1.0, 33)
    w = t.width
    temple = np.maximum(np.abs(s) - 0.55, 0.0) / 0.45
    y = t.hairline + 15.0 * temple * temple
    if t.style in ("fringe", "long fringe"):
        y = t.fringe - 2.5 * s * s + 4.0 * temple * temple
    elif t.style == "swept":
        y = t.hairline - 3.0 + 8.0 * (1.0 + t.side * s) * 0.9 + 3.0 * (1 - s * s)
    elif t.style in ("parted", "long", "bob", "tied"):
        away = (s - t.part / w) * (1.0 / (1.0 + abs(t.part) / w))
        y = t.hairline - 6.0 + 26.0 * np.sqrt(away * away + 0.01) * (0.6 + 0.4 * np.abs(away))
        if t.style == "tied":
            y = 0.5 * y + 0.5 * (t.hairline + 12.0 * temple)
    elif t.style == "receding":
        bay = np.maximum(1.0 - ((np.abs(s) - 0.55) / 0.3) ** 2, 0.0)
        y = t.hairline - 5.0 - (5.0 + 1.6 * t.temple) * bay + 8.0 * temple
    else:
        y = y - 0.5 * t.temple * np.maximum(1.0 - ((np.abs(s) - 0.6) / 0.3) ** 2, 0.0)
    return line(s * (w - 1.5), y)


def _hair_mask(t, random):
    """Return the masks of front hair and of hair behind the neck, uint8, and the texture."""
    lift = t.volume * {"buzz": 0.15, "crop": 0.55, "curly": 1.5, "afro": 2.2, "tied": 0.4}.get(
        t.style, 1.0
    )
    spread = {"buzz": 0.1, "receding": 0.4, "tied": 0.1, "crop": 0.25, "afro": 1.3, "curly": 0.9}
    grow = spread.get(t.style, 0.6) * t.volume
    hairline = _hairline(t)
    low = 58.0 if t.style in ("crop", "buzz", "tied", "receding") else 66.0
    y = np.linspace(t.top, low, 30)
    share = (y - t.top) / (low - t.top)
    edge = half_width(t, y) + grow * np.sqrt(np.minimum(1.0, 3.0 * share)) + 0.8
    y = y - lift * (1.0 - share) * (1.0 - share)
    outer = np.concatenate([line(edge, y), line(-edge, y)[::-1]])
    mask = fill(outer)
    inner = t.width - {"afro": 0.0, "curly": 0.5, "buzz": 1.0}.get(t.style, 1.5)
    opening = np.concatenate([hairline, [(inner, 90.0), (-inner, 90.0)]])
    back = None
    if t.style in DRAPED:
        end = 98.0 if t.style == "bob" else 150.0
        wide = t.width + 3.0 + 0.9 * t.volume
        # the strands fall from the crown along the cheeks, over the ears
        x = t.width
        fall = [(wide - 4, 20), (wide, 45), (wide + 1, 75), (wide - 1, end), (x - 8, end)]
        fall += [(x - 5, 92), (x - 2.5, 70), (x - 2, 45), (x - 6, 26)]
        fall = np.asarray(fall, np.float64)
        fill(fall, mask)
        fill(fall * (-1, 1), mask)
        sides = [(x - 3.5, 60.0), (x - 6.5, 95.0), (6.5 - x, 95.0), (3.5 - x, 60.0)]
        opening = np.concatenate([hairline, sides])
        behind = [
            (18 - wide, 14),
            (wide - 18, 14),
            (wide - 4, 32),
            (wide + 1, 75),
            (wide - 3, end - 8),
            (wide - 14, end),
        ]
        behind += [(14 - wide, end), (3 - wide, end - 8), (-wide - 1, 75), (4 - wide, 32)]
        back = fill(behind)
    fill(opening, mask, 0)

    if t.style in ("curly", "afro"):
        fine = 64 if t.style == "afro" else 46
        texture = noise(random, fine, fine)
        ragged = noise(random, 40, 40)
    else:
        strip = cv2.blur(random.bytes(8, 512), (3, 3))
        fan = (X - np.float32(t.part)) / (np.float32(26.0) + np.maximum(Y + 25, 0))
        across = fan * np.float32(230.0) + np.float32(256.0)
        along = np.broadcast_to(Y * np.float32(0.05) + np.float32(2.0), across.shape)
        texture = cv2.remap(strip, across, np.ascontiguousarray(along), cv2.INTER_LINEAR,
                            borderMode=cv2.BORDER_REFLECT)  # fmt: skip
        ragged = texture
    soft = soften(mask, 5 if t.style != "buzz" else 9).astype(np.float32)
    sharp = 2.2 if t.style != "buzz" else 1.0
    near = soft * (255 - soft) * np.float32(4 * 0.6 / 255**2)  # ragged at the edge alone
    soft += near * (ragged.astype(np.float32) - np.float32(127.5))
    soft = (soft - np.float32(127.5)) * np.float32(sharp)
    mask = np.clip(np.rint(soft + 127.5), 0, 255).astype(np.uint8)
    if t.style == "bald":
        mask[:] = 0
    if t.style == "buzz":
        mask = (mask.astype(np.uint16) * 190 // 255).astype(np.uint8)
    return mask, back, texture


def _beard_mask(t, random):
    """Return the opacity of the beard, uint8 (zero without one)."""
    mask = np.zeros((SIDE, SIDE), np.uint8)
    if t.beard == "none":
        return mask
    w, my, ny = t.mouth_w, t.mouth_y, t.nose_y
    lip = [(-w - 3, my + 2), (-w - 1, my - 4), (-5, ny + 8.5), (5, ny + 8.5), (w + 1, my - 4),
           (w + 3, my + 2), (w - 3, my - 0.5), (3, my - t.lip_up), (-3, my - t.lip_up),
           (-w + 3, my - 0.5)]  # fmt: skip
    chin = [(-w - 3, my - 1), (-w + 1, my + 1), (-7, my + t.lip_down + 2.5),
            (7, my + t.lip_down + 2.5), (w - 1, my + 1), (w + 3, my - 1), (w + 1, my + 10),
            (9, t.chin_y + 5), (-9, t.chin_y + 5), (-w - 1, my + 10)]  # fmt: skip
    if t.beard in ("stubble", "full", "moustache", "goatee"):
        fill(lip, mask)
    if t.beard in ("stubble", "full", "goatee"):
        fill(chin, mask)
    if t.beard in ("stubble", "full", "sideburns"):
        for side in (-1, 1):
            x = t.width + 4.0
            inner = w + 1.5
            if t.beard == "sideburns":
                low = t.chin_y - 11
                jaw = [(x, 55), (x, low), (x - 12, low), (x - 11, 80), (x - 7, 55)]
            else:
                jaw = [(x, 55), (x, t.chin_y + 6), (0, t.chin_y + 6), (0, my + 12), (inner, my + 6)]
                jaw += [(inner + 1, my - 2), (x - 13, t.beard_y), (x - 7, 55)]
            fill(np.asarray(jaw, np.float64) * (side, 1), mask)
    mask = soften(mask, 7)
    grain = noise(random, 126, 126).astype(np.uint16)
    dense = {"stubble": 0.42}.get(t.beard, t.beard_dense)
    return (mask * (150 + grain * 105 // 255) // 255 * int(dense * 256) >> 8).astype(np.uint8)


def _normals(z):
    """Return the surface normal of a height map as three uint8 planes, 128 being zero."""
    slope = np.float32(0.5 * SCALE)
    dx, dy = np.zeros_like(z), np.zeros_like(z)
    dx[:, 1:-1] = (z[:, 2:] - z[:, :-2]) * slope
    dy[1:-1] = (z[2:] - z[:-2]) * slope
    dx, dy = np.clip(dx, -3, 3), np.clip(dy, -3, 3)
    scale = np.float32(127.0) / np.sqrt(1 + dx * dx + dy * dy)
    out = np.empty((*z.shape, 3), np.uint8)
    for channel, slope in enumerate((dx, dy)):
        out[..., channel] = np.rint(128 - slope * scale)
    return out


def model_head(t):
    """Model the head of an identity.

    Returns
    -------
    SimpleNamespace
        ``colour`` (SIDE, SIDE, 3) uint8 RGB without light; ``surface`` (SIDE, SIDE, 3) uint8:
        the normal's x and y (128 is zero) and the opacity; ``depth`` (SIDE, SIDE) uint8, four
        levels to the pixel; ``fringe`` (rows, colour, opacity) of hair before the eyes, or None.
    """
    random = KeyedRandom(*t.texture)
    face = fill(outline(t))
    z = relief(t)
    bare = skin(t, random)
    hair, back, texture = _hair_mask(t, random)
    beard = _beard_mask(t, random)
    strand = texture.astype(np.float32) * np.float32(1 / 255)
    contrast = t.strands if t.style in ("curly", "afro") else 2.0 * t.strands
    strand = 1 + np.float32(contrast) * (strand - np.float32(0.5))
    hair_colour = np.clip(np.rint(np.asarray(t.hair, np.float32) * strand[..., None]), 0, 255)
    hair_colour = hair_colour.astype(np.uint8)

    # from the back to the front: hair behind, neck, ears, head, beard, hair
    colour = bare.copy()
    alpha = np.zeros((SIDE, SIDE), np.uint8)
    if back is not None:
        alpha = np.maximum(alpha, back)
        colour = blend(colour, hair_colour * np.float32(0.5), back)
    neck_w = t.width * (0.66 + 0.10 * t.male)
    neck = [(-neck_w, 84), (neck_w, 84), (neck_w + 1, 122), (neck_w + 14, 142), (-neck_w - 14, 142),
            (-neck_w - 1, 122)]  # fmt: skip
    neck = fill(neck)
    alpha = np.maximum(alpha, neck)
    under = np.asarray(t.skin, np.float32) * np.float32(0.72)  # in the shadow of the chin
    low = slice(int((80 + MARGIN) * SCALE), SIDE)
    colour[low] = blend(colour[low], under, neck[low])
    ears = np.zeros((SIDE, SIDE), np.uint8)
    x = float(half_width(t, np.array([t.ear_y]))[0])
    for side in (-1, 1):
        lobe = dot(side * (x + 0.30 * t.ear), t.ear_y, 0.72 * t.ear, 10.0)
        fill(lobe, ears)
        paint(colour, lobe, np.asarray(t.skin) * (0.97, 0.87, 0.86))
        inner = dot(side * (x + 0.45 * t.ear), t.ear_y - 0.5, 0.34 * t.ear, 6.5)
        paint(colour, inner, np.asarray(t.skin) * (0.72, 0.62, 0.60), 0.8, soft=3)
    alpha = np.maximum(alpha, ears)
    # the head over all that; above the ears there is only hair that hangs behind it
    low = slice(0 if back is not None else int((t.ear_y - 12 + MARGIN) * SCALE), SIDE)
    colour[low] = blend(colour[low], bare[low], face[low])
    alpha = np.maximum(alpha, face)
    edge = np.asarray(t.hair, np.float32) * np.float32(0.9)
    grown = np.minimum(beard, np.maximum(face, neck))
    low = slice(int((48 + MARGIN) * SCALE), SIDE)
    if t.beard != "none":
        colour[low] = blend(colour[low], edge, grown[low])
    rows = np.flatnonzero(hair.any(axis=1))
    if len(rows):  # not bald
        high = slice(0, int(rows[-1]) + 1)
        colour[high] = blend(colour[high], hair_colour[high], hair[high])
    alpha = np.maximum(alpha, hair)

    # the surface: outside the face the neck is a cylinder, further back than the jaw
    inside = soften(face, 3).astype(np.float32) * np.float32(1 / 255)
    across = X / np.float32(neck_w + 4)
    throat = np.float32(16.0) * np.sqrt(np.maximum(1 - across * across, 0.05))
    cover = np.maximum(inside, np.clip((np.float32(92) - Y) * np.float32(1 / 16), 0, 1))
    z = cover * z + (1 - cover) * throat
    cap = soften(hair, 13).astype(np.float32) * np.float32(1 / 255)
    z += cap * (np.float32(0.35 * t.volume) + strand * np.float32(2.2 * t.strands))
    surface = _normals(z)
    surface[..., 2] = alpha

    # depth for the pose: smooth, and without the steep edges that a turn would fold over
    w = np.maximum(half_width(t, Y[:, 0]), 20.0).astype(np.float32)[:, None]
    across = X / w
    along = (Y - np.float32(52.0)) / np.float32(75.0)
    ball = np.float32(36.0) * np.maximum(1 - 0.8 * across * across - 0.45 * along * along, 0)
    tip = np.maximum(1 - (X / 12) ** 2 - ((Y - np.float32(t.nose_y - 3)) / 20) ** 2, 0)
    ball += np.float32(0.95 * t.nose_out) * tip * tip
    depth = np.clip(np.rint(ball * DEPTH), 0, 255).astype(np.uint8)
    # hair that hangs over brows and eyes is painted again after these
    low = slice(int((24 + MARGIN) * SCALE), int((66 + MARGIN) * SCALE))
    inner = slice(int((CENTRE - 34 + MARGIN) * SCALE), int((CENTRE + 34 + MARGIN) * SCALE))
    fringe = None
    if int(hair[low, inner][int(12 * SCALE) :].max()) > 40:
        fringe = (low, hair_colour[low], hair[low])
    return SimpleNamespace(colour=colour, surface=surface, depth=depth, fringe=fringe, traits=t)
