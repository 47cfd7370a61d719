"""One image of a head: expression, pose, light, occlusion and camera.

The features that an expression moves are painted on a copy of the canvas; the canvas is turned
by its depth, aligned by its five landmarks as a detector's crop would be, and lit by its surface.
"""

from __future__ import annotations

import numpy as np

from ..._compat import cv2
from .hair import DEPTH
from .modelling import CENTRE, MARGIN, SCALE, blend, dot, line, paint, paint_within
from .occlusion import occlude, paint_glasses
from .traits import unit

__all__ = ["LANDMARKS", "draw_image"]

SIZE = 112
# The positions of eyes, nose and corners of the mouth in ArcFace's alignment.
LANDMARKS = ((38.3, 51.7), (73.5, 51.5), (56.0, 71.7), (41.5, 92.4), (70.7, 92.2))
EYE_Y = 51.6

_S = np.linspace(-1.0, 1.0, 13)
_COLUMN = np.arange(SIZE, dtype=np.float32)[None, :]
_ROW = np.arange(SIZE, dtype=np.float32)[:, None]


def band(curve, above, below):
    """Return the polygon between a curve moved up and the curve moved down."""
    return np.concatenate([np.add(curve, (0.0, above)), np.add(curve, (0.0, below))[::-1]])


def _eye(canvas, t, c, side):
    """Paint one eye; `side` is -1 for the one at the left of the picture."""
    s = _S
    lift = np.maximum(1.0 - s * s, 0.0)
    # the highest point lies a little inwards or outwards of the middle
    upper = lift * (1.0 + t.eye_peak * s)
    lower = lift * (1.0 + 0.25 * s)
    squint = 1.0 - 0.22 * max(0.0, c.smile)
    up = -t.eye_up * min(c.lids, 1.0 + 0.15 * t.crease) * upper
    down = t.eye_down * squint * lower
    tilt = -t.eye_tilt * s * t.eye_w
    # s runs from the inner to the outer corner
    x = side * (t.eye_x + s * t.eye_w)
    top = line(x, EYE_Y + up + tilt)
    bottom = line(x, EYE_Y + np.maximum(down, up + 0.25) + tilt)
    almond = np.concatenate([top, bottom[::-1]])
    skin = t.skin
    fold = line(x, EYE_Y - t.eye_up * 1.05 * upper - 1.8 - 1.2 * t.crease + tilt)
    lid = tuple(0.86 * v for v in skin)
    paint(canvas, np.concatenate([fold, top[::-1]]), lid, 0.75, soft=3)
    if t.crease > 0.3:
        thin = band(fold, -0.45, 0.45)
        paint(canvas, thin, tuple(0.55 * v for v in skin), 0.35 + 0.4 * t.crease)
    if c.lids > 0.15:
        gx = side * t.eye_x + c.gaze[0] * t.eye_w
        gy = EYE_Y - 0.25 * t.eye_up + 0.2 * t.eye_down + c.gaze[1] * t.eye_w
        glint = gx + (1.0 if c.key[0] > 0 else -1.4)
        shapes = (
            (band(top, 0.0, 1.3), (168, 160, 154)),  # the shadow of the lid
            (dot(gx, gy, t.iris), [0.45 * v for v in t.iris_colour]),
            (dot(gx, gy, 0.84 * t.iris), t.iris_colour),
            (dot(gx, gy + 0.2, 0.42 * t.iris), (14, 11, 11)),
            (dot(glint, gy - 1.3, 0.75), (240, 240, 240)),
        )
        paint_within(canvas, almond, shapes, (214, 209, 203))
    thick = 0.45 + 0.55 * t.lash
    lash = band(top, -0.7 * thick, 0.45)
    lash[6:13, 0] += side * 0.5
    paint(canvas, lash, (30, 20, 18), 0.9)
    under = band(bottom, 0.0, 0.7)
    paint(canvas, under, tuple(0.55 * v for v in skin), 0.55)


def _brow(canvas, t, c, side):
    s = 0.5 * (_S + 1.0)  # from the inner to the outer end
    length = t.brow_len
    x = t.brow_in + length * s - 1.2 * c.frown * (1 - s)
    arch = t.brow_arch * 4.0 * s * (1.0 - s) * (0.6 + 0.7 * s)
    y = (
        EYE_Y
        - t.brow_y
        - arch
        - c.brows
        + c.frown * 1.6 * (1 - s)
        - t.brow_tilt * length * (s - 0.5)
    )
    y = y + 3.0 * s * s
    half = (
        0.5 * t.brow_thick * 1.5 * np.sqrt(np.maximum(1.02 - s, 0.0)) * np.minimum(1.0, 0.6 + 3 * s)
    )
    x = side * x
    shape = np.concatenate([line(x, y - half), line(x, y + half)[::-1]])
    dark = tuple(0.6 * v for v in t.hair) if min(t.hair) < 120 else tuple(0.62 * v for v in t.hair)
    paint(canvas, shape, dark, t.brow_dark, soft=3)


def _mouth(canvas, t, c):
    s = _S
    smile, open_ = c.smile, c.open * 3.4
    w = t.mouth_w * (1.0 + 0.13 * smile - 0.04 * c.open)
    x = s * w
    y = t.mouth_y + (t.mouth_curve - 3.4 * smile) * (s * s - 0.35)
    round_ = np.maximum(1.0 - s * s, 0.0)
    bow = np.maximum(1.0 - (np.abs(s) / 0.28), 0.0)
    thin = 1.0 - 0.18 * smile
    upper = y - t.lip_up * thin * (round_ * (0.75 + 0.25 * round_)) * 1.15 + t.bow * bow * 0.55
    gap = open_ * round_
    inner_low = y + gap
    lower = inner_low + t.lip_down * thin * round_ * (0.6 + 0.4 * round_)
    rim = line(x, upper), line(x, y + 0.1)
    colour = t.lip_colour
    paint(canvas, np.concatenate([rim[0], line(x, lower)[::-1]]), colour, 0.8, soft=3)
    paint(canvas, np.concatenate([rim[0], rim[1][::-1]]), tuple(0.84 * v for v in colour), 0.75)
    shine = line(0.5 * x, inner_low + 0.35 * t.lip_down)
    paint(canvas, band(shine, 0.0, 1.1),
          tuple(min(255, 1.18 * v + 10) for v in colour), 0.5, soft=3)  # fmt: skip
    dark = (52, 22, 22)
    slit = np.concatenate([line(x, y - 0.35), line(x, inner_low + 0.45)[::-1]])
    paint(canvas, slit, dark, 0.85)
    if open_ > 1.2:
        teeth = np.minimum(y + 0.6 * gap, y + 2.8)
        teeth = np.concatenate([line(0.82 * x, y), line(0.82 * x, teeth)[::-1]])
        paint(canvas, teeth, (222, 216, 206), 0.9)


def _turn(half_tangent):
    """Return cosine and sine of twice the angle whose tangent is given."""
    square = half_tangent * half_tangent
    return (1 - square) / (1 + square), 2 * half_tangent / (1 + square)


def _rotation(c):
    """Return the rotation of the head as three rows of floats."""
    (cy, sy), (cp, sp), (cr, sr) = _turn(c.yaw), _turn(c.pitch), _turn(c.roll)
    # roll after pitch after yaw
    a, b, d = (cy, 0.0, sy), (sp * sy, cp, -sp * cy), (-cp * sy, sp, cp * cy)
    return (
        tuple(cr * u - sr * v for u, v in zip(a, b)),
        tuple(sr * u + cr * v for u, v in zip(a, b)),
        d,
    )


def _align(head, c, rotation):
    """Return the similarity (a, b, tx, ty) that takes the turned landmarks to the template.

    The least-squares fit that an alignment by five landmarks makes, written out for the plane:
    (x, y) -> (a x - b y + tx, b x + a y + ty).
    """
    t = head.traits
    low = t.mouth_y + t.mouth_curve * 0.65 - 2.2 * c.smile
    wide = t.mouth_w * (1.0 + 0.13 * c.smile)
    points = ((-t.eye_x, EYE_Y), (t.eye_x, EYE_Y), (0.0, t.nose_y), (-wide, low), (wide, low))
    turned = []
    for x, y in points:
        column = int((x + CENTRE + 0.5 + MARGIN) * SCALE)
        row = int((y + 0.5 + MARGIN) * SCALE)
        z = float(head.depth[row, column]) / DEPTH
        turned.append([r[0] * x + r[1] * (y - EYE_Y) + r[2] * z for r in rotation[:2]])
    n = len(points)
    mx, my = (sum(p[i] for p in turned) / n for i in range(2))
    gx, gy = (sum(p[i] for p in LANDMARKS) / n for i in range(2))
    dot_, cross, norm = 0.0, 0.0, 0.0
    for (x, y), (u, v) in zip(turned, LANDMARKS):
        x, y, u, v = x - mx, y - my, u - gx, v - gy
        dot_ += x * u + y * v
        cross += x * v - y * u
        norm += x * x + y * y
    a, b = c.zoom * dot_ / norm, c.zoom * cross / norm
    return a, b, gx + c.shift[0] - (a * mx - b * my), gy + c.shift[1] - (b * mx + a * my)


def _maps(head, c, rotation):
    """Return where on the canvas each pixel of the crop looks, two float32 (112, 112) maps."""
    a, b, tx, ty = _align(head, c, rotation)
    (r00, r01, r02), (r10, r11, r12) = rotation[:2]
    # crop = A (x, y) + e z + t with A = similarity * rotation; solved for (x, y) given z
    m00, m01, e0 = a * r00 - b * r10, a * r01 - b * r11, a * r02 - b * r12
    m10, m11, e1 = b * r00 + a * r10, b * r01 + a * r11, b * r02 + a * r12
    det = m00 * m11 - m01 * m10
    i00, i01, i10, i11 = m11 / det, -m01 / det, -m10 / det, m00 / det
    u, v = _COLUMN - np.float32(tx), _ROW - np.float32(ty)
    x0 = np.float32(i00) * u + np.float32(i01) * v
    y0 = np.float32(i10) * u + np.float32(i11) * v
    fx, fy = i00 * e0 + i01 * e1, i10 * e0 + i11 * e1
    # in canvas pixels, and z in levels of the depth map
    x0 = (x0 + np.float32(CENTRE + 0.5 + MARGIN)) * np.float32(SCALE) - np.float32(0.5)
    y0 = (y0 + np.float32(EYE_Y + 0.5 + MARGIN)) * np.float32(SCALE) - np.float32(0.5)
    fx, fy = np.float32(fx * SCALE / DEPTH), np.float32(fy * SCALE / DEPTH)
    z = np.float32(head.traits.nose_out + 60)
    mx, my = x0 - fx * z, y0 - fy * z
    for _ in range(3):
        z = cv2.remap(head.depth, mx, my, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        mx, my = x0 - fx * z, y0 - fy * z
    if c.open > 0.05:  # the jaw goes down with an open mouth
        low = np.float32((head.traits.mouth_y + 2.0 + 0.5 + MARGIN) * SCALE)
        drop = np.float32(c.open * 2.6)
        my -= drop * np.clip((my - low) * np.float32(1 / 18.0), 0, 1)
    return mx, my


def _light(head, c, rotation, colour, surface):
    """Return the lit head, linear float32 (3, 112, 112) in 0 to ~1."""
    nx = (surface[0].astype(np.float32) - 128) * np.float32(1 / 127)
    ny = (surface[1].astype(np.float32) - 128) * np.float32(1 / 127)
    nz = np.sqrt(np.maximum(1 - nx * nx - ny * ny, np.float32(0.01)))

    def along(direction):
        # the light in the frame of the head: the transpose undoes the turn
        x, y, z = (sum(rotation[k][j] * direction[k] for k in range(3)) for j in range(3))
        return np.maximum(np.float32(x) * nx + np.float32(y) * ny + np.float32(z) * nz, 0)

    key, fill = along(c.key), along(c.fill)
    sky = np.float32(0.65) - np.float32(0.35) * ny
    spot = along(unit(c.key[0], c.key[1], c.key[2] + 1.0))
    for _ in range(4):  # to the 16th power
        spot *= spot
    spot *= np.float32(head.traits.gloss) * key
    out = _linear(colour)
    for k in range(3):
        light = np.float32(1.25 * c.key_colour[k]) * key
        light += np.float32(c.fill_colour[k]) * fill
        light += np.float32(c.sky_colour[k]) * sky
        out[k] *= light
        out[k] += np.float32(c.key_colour[k]) * spot
    return out


def _linear(planes):
    """Turn display values (0 to 255) into light (0 to 1) by gamma 2, whose inverse is sqrt."""
    light = np.asarray(planes).astype(np.float32)
    light *= np.float32(1 / 255)
    light *= light
    return light


def _background(c):
    """Return a blurred background of random colours and boxes, uint8 (112, 112, 3)."""
    random = c.random
    size = random.pick((2, 3, 5, 9))
    grid = random.bytes(size, size, 3).astype(np.float32)
    base = np.array(random.colour([random.uniform(25, 225)] * 3, 22.0), np.float32)
    contrast = np.float32(random.uniform(0.03, 0.3))
    colourful = np.float32(random.uniform(0.1, 0.6))
    level = grid[..., 1:2]
    grid = (level + (grid - level) * colourful - np.float32(127.5)) * contrast
    grid = np.clip(np.rint(base + grid), 0, 255).astype(np.uint8)
    room = cv2.resize(grid, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR_EXACT)
    for _ in range(random.pick((0, 1, 2))):
        x, y = int(random.uniform(-40, 112)), int(random.uniform(-40, 112))
        w, h = int(random.uniform(10, 90)), int(random.uniform(10, 90))
        cv2.rectangle(
            room, (x, y), (x + w, y + h), [int(v) for v in random.colour(base.tolist(), 40.0)], -1
        )
    return cv2.blur(room, (5, 5))


def _camera(image, c):
    """Blur, resample and add noise to the finished picture, uint8 (112, 112, 3)."""
    if c.shrink < 1.0:
        small = int(SIZE * c.shrink)
        image = cv2.resize(image, (small, small), interpolation=cv2.INTER_LINEAR_EXACT)
        image = cv2.resize(image, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR_EXACT)
    if c.blur:
        image = cv2.blur(image, (1 + c.blur, 1 + (c.blur + 1) // 2))
    raw = c.random.bytes(2, SIZE, SIZE, 3).astype(np.int16)
    grain = raw[0] + raw[1] - 255  # triangular, standard deviation 104
    grain = (grain * int(c.noise * 256 / 104 * 16)) >> 12
    return np.clip(image + grain, 0, 255).astype(np.uint8)


def draw_image(head, c):
    """Draw one image of a head under conditions `c`, uint8 (112, 112, 3) RGB."""
    t = head.traits
    canvas = head.colour.copy()
    for side in (-1, 1):
        _eye(canvas, t, c, side)
        _brow(canvas, t, c, side)
    _mouth(canvas, t, c)
    if head.fringe is not None:
        rows, colour, mask = head.fringe
        canvas[rows] = blend(canvas[rows], colour, mask)
    if c.glasses != "none":
        paint_glasses(canvas, t, c)
    rotation = _rotation(c)
    mx, my = _maps(head, c, rotation)
    colour = cv2.remap(canvas, mx, my, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    surface = cv2.remap(head.surface, mx, my, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    # planes from here: NumPy is slow on a last axis of three
    surface = cv2.split(surface)
    lit = _light(head, c, rotation, cv2.split(colour), surface)
    room = _linear(cv2.split(_background(c)))
    lit -= room
    lit *= surface[2].astype(np.float32) * np.float32(1 / 255)
    lit += room
    occlude(lit, t, c)
    for plane, balance in zip(lit, c.balance):
        plane *= np.float32(balance * c.gain)
    np.sqrt(np.clip(lit, 0, 1, out=lit), out=lit)
    lit *= np.float32(255 - c.black)
    lit += np.float32(c.black)
    return _camera(cv2.merge(list(np.rint(lit, out=lit).astype(np.uint8))), c)
