"""The canvas on which a head is painted, and the skin and relief of a face on it.

The canvas is the crop with a margin, at 1.5 times its resolution, seen from the front without
light. What moves with the expression (eyes, brows, mouth) is painted on it for each image by
`drawing`.
"""

from __future__ import annotations

import numpy as np

from ..._compat import cv2

__all__ = [
    "CENTRE", "MARGIN", "SCALE", "SIDE", "X", "Y", "blend", "dot", "fill", "half_width", "line",
    "noise", "outline", "paint", "paint_within", "relief", "skin", "soften", "stencil",
]  # fmt: skip

SCALE = 1.5
MARGIN = 28
SIDE = int((112 + 2 * MARGIN) * SCALE)
CENTRE = 55.9  # the crop column of the middle of the face
_SHIFT = 4  # OpenCV draws with this many fractional bits

_AXIS = ((np.arange(SIDE, dtype=np.float32) + 0.5) / SCALE - MARGIN - 0.5).astype(np.float32)
X = (_AXIS - np.float32(CENTRE))[None, :]
Y = _AXIS[:, None]


# face coordinates to fixed-point canvas coordinates: a factor and an offset
_FACTOR = SCALE * (1 << _SHIFT)
_OFFSET = np.array([((m + 0.5 + MARGIN) * SCALE - 0.5) * (1 << _SHIFT) for m in (CENTRE, 0.0)])


def _fixed(points):
    """Turn face coordinates (N, 2) into OpenCV's fixed-point canvas coordinates."""
    return np.rint(np.multiply(points, _FACTOR) + _OFFSET).astype(np.int32)


def line(x, y):
    """Return the points (x, y) of a line, (N, 2); either may be one number."""
    points = np.empty((max(np.size(x), np.size(y)), 2))
    points[:, 0], points[:, 1] = x, y
    return points


def fill(points, out=None, value=255):
    """Draw a filled anti-aliased polygon on a uint8 canvas and return the canvas."""
    out = np.zeros((SIDE, SIDE), np.uint8) if out is None else out
    cv2.fillPoly(out, [_fixed(points)], value, cv2.LINE_AA, _SHIFT)
    return out


def soften(mask, size):
    """Blur uint8 with an odd box twice: integer sums, so the same everywhere."""
    return cv2.blur(cv2.blur(mask, (size, size)), (size, size))


def blend(under, colour, mask):
    """Mix `colour` (RGB or an image) over uint8 `under` by a uint8 mask, rounding to nearest."""
    height, width = mask.shape
    flat = (height, 3 * width)  # long rows: NumPy is slow on a last axis of three
    mask = cv2.merge((mask, mask, mask)).reshape(flat).astype(np.uint16)
    colour = np.rint(colour).astype(np.uint16)
    if colour.ndim == 1:
        row = np.empty((width, 3), np.uint16)
        row[:] = colour
        colour = row.reshape(3 * width)
    else:
        colour = colour.reshape(flat)
    mixed = colour * mask
    np.subtract(255, mask, out=mask)
    mixed += under.reshape(flat) * mask
    mixed += 128  # x / 255, rounded, for all x up to 255 * 255
    mixed += mixed >> 8
    mixed >>= 8
    return mixed.astype(np.uint8).reshape(under.shape)


def stencil(points, opacity=1.0, soft=0):
    """Rasterise a polygon of face coordinates.

    Returns
    -------
    tuple
        (rows, columns, mask, origin): the slices of the canvas that it touches, its uint8 mask
        there, and their corner in fixed-point coordinates.
    """
    points = _fixed(points)
    x, y, w, h = cv2.boundingRect(points)
    pad = 2 + soft
    x0, y0 = max((x >> _SHIFT) - pad, 0), max((y >> _SHIFT) - pad, 0)
    x1 = max(x0, min((x + w >> _SHIFT) + pad + 1, SIDE))
    y1 = max(y0, min((y + h >> _SHIFT) + pad + 1, SIDE))
    origin = np.array((x0 << _SHIFT, y0 << _SHIFT), np.int32)
    mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
    if mask.size:
        points -= origin
        cv2.fillPoly(mask, [points], int(opacity * 255), cv2.LINE_AA, _SHIFT)
        if soft:
            mask = cv2.blur(mask, (soft, soft))
    return slice(y0, y1), slice(x0, x1), mask, origin


def paint(canvas, points, colour, opacity=1.0, soft=0):
    """Paint a polygon of face coordinates on an RGB canvas in place.

    Parameters
    ----------
    canvas : numpy.ndarray
        uint8 (SIDE, SIDE, 3).
    points : array_like, (N, 2)
    colour : sequence of 3 numbers
        RGB.
    opacity : float
        1 hides what is below.
    soft : int
        Size of a box blur of the edge, 0 for none.
    """
    rows, columns, mask, _ = stencil(points, opacity, soft)
    if mask.size:
        canvas[rows, columns] = blend(canvas[rows, columns], colour, mask)


def paint_within(canvas, points, shapes, colour):
    """Paint `shapes`, pairs of (polygon, RGB), over `colour`, all inside one polygon."""
    rows, columns, mask, origin = stencil(points)
    if mask.size:
        layer = np.empty((*mask.shape, 3), np.uint8)
        layer[:] = colour
        for shape, paint_ in shapes:
            fixed = _fixed(shape) - origin
            cv2.fillPoly(layer, [fixed], [round(v) for v in paint_], cv2.LINE_AA, _SHIFT)
        canvas[rows, columns] = blend(canvas[rows, columns], layer, mask)


def _bump(field, x, y, rx, ry, amount):
    """Add a smooth hill of this height and these radii to `field`, in place."""
    # pixels outside the radii add nothing, so one too many at either end does no harm
    left, top = x + CENTRE + 0.5 + MARGIN, y + 0.5 + MARGIN
    x0, x1 = max(int((left - rx) * SCALE) - 1, 0), max(int((left + rx) * SCALE) + 1, 0)
    y0, y1 = max(int((top - ry) * SCALE) - 1, 0), max(int((top + ry) * SCALE) + 1, 0)
    dx = (X[:, x0:x1] - np.float32(x)) / np.float32(rx)
    dy = (Y[y0:y1] - np.float32(y)) / np.float32(ry)
    hill = np.maximum(1 - dx * dx - dy * dy, 0)
    field[y0:y1, x0:x1] += np.float32(amount) * hill * hill


def _twin(field, x, y, rx, ry, amount):
    """`_bump` on both sides of the face."""
    _bump(field, x, y, rx, ry, amount)
    _bump(field, -x, y, rx, ry, amount)


def noise(random, rows, columns):
    """Return smooth random uint8 over the canvas from a grid of rows x columns."""
    grid = random.bytes(rows, columns)
    return cv2.resize(grid, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR_EXACT)


def half_width(t, y):
    """Return the half width of the bare head at the heights `y` (array), 0 outside."""
    y = np.asarray(y, np.float64)
    up = np.clip((t.cheek_y - y) / (t.cheek_y - t.top), 0.0, 1.0)
    down = np.clip((y - t.cheek_y) / (t.chin_y - t.cheek_y), 0.0, 1.0)
    # above the cheeks: a round skull, drawn in a little at the temples
    dent = 4.0 * up * (1.0 - up)
    skull = np.sqrt(1.0 - up * up * up * up) * (1.0 - (1.0 - t.forehead) * dent)
    # below: between a round, a square and a pointed jaw
    square = down * down
    rounded = np.sqrt(np.maximum(1.0 - square, 0.0))
    blunt = np.sqrt(np.maximum(1.0 - square * square * (0.4 + 0.6 * square), 0.0))
    sharp = (1.0 - down) * (1.0 + 0.75 * down)
    jaw = (1 - t.square) * rounded + t.square * blunt
    jaw = (1 - t.pointed) * jaw + t.pointed * np.minimum(
        jaw, np.sqrt(sharp) * 0.92 + 0.08 * rounded
    )
    return t.width * np.where(y < t.cheek_y, skull, jaw)


def outline(t):
    """Return the outline of the head as a polygon."""
    s = np.linspace(0.0, 1.0, 48)
    s = s * s * (3.0 - 2.0 * s)  # denser at both ends, where the outline turns
    y = t.top + (t.chin_y - t.top) * s
    w = half_width(t, y)
    return np.concatenate([line(w, y), line(-w, y)[::-1]])


def relief(t):
    """Return the height of the face surface, float32 (SIDE, SIDE)."""
    w = np.maximum(half_width(t, _AXIS), 8.0).astype(np.float32)[:, None] * np.float32(1.06)
    across = X / w
    along = (Y - np.float32(52.0)) / np.float32(78.0)
    z = np.float32(37.0) * np.sqrt(
        np.maximum(1 - across * across, 0.02) * np.maximum(1 - along * along, 0.05)
    )
    eye_y = 51.6
    _twin(z, t.eye_x, eye_y - 1.0, 12.0, 9.5, -1.6 - 0.45 * t.socket)
    _twin(z, t.eye_x, eye_y + 0.3, 9.5, 6.5, 2.4)  # the eyeball
    _twin(z, t.eye_x + 1.0, eye_y - t.brow_y + 1.0, 15.0, 6.0, 0.7 + 0.6 * t.ridge)
    _bump(z, 0.0, eye_y - t.brow_y + 2.0, 9.0, 7.0, 0.3 + 0.3 * t.ridge)
    _twin(z, t.eye_x + 0.5, eye_y + 7.5, 8.0, 3.2, 0.7 * t.bags)
    _twin(z, t.eye_x + 0.5, eye_y + 10.0, 8.5, 2.4, -0.55 * t.bags)
    _twin(z, t.width * 0.66, 67.0, 15.0, 11.0, 0.7 * t.cheekbone)
    _twin(z, t.width * 0.60, 84.0, 13.0, 13.0, -0.7 * t.hollow)
    # nose: bridge, hump, tip, wings
    mid = 0.5 * (eye_y + t.nose_y)
    _bump(z, 0.0, mid - 4.0, t.bridge_w + 3.0, 24.0, t.bridge)
    _bump(z, 0.0, mid + 1.0, t.bridge_w + 1.5, 17.0, 0.35 * t.nose_out + t.hump)
    _bump(z, 0.0, t.nose_y - 1.0 - t.tip_up, t.tip + 4.5, t.tip + 4.0, t.nose_out)
    _twin(z, t.nose_w * 0.62, t.nose_y + 1.5, t.nose_w * 0.55 + 1.6, 5.0, 0.33 * t.nose_out)
    _bump(z, 0.0, t.nose_y + 7.2, 10.0, 4.0, -2.2)
    # mouth and chin
    _bump(z, 0.0, t.mouth_y - 0.4 * t.lip_up, t.mouth_w + 4.0, 9.0, 1.8)
    _bump(z, 0.0, t.mouth_y - 0.6 * t.lip_up, t.mouth_w * 0.8, t.lip_up + 1.5, 0.25 * t.lip_up)
    _bump(
        z, 0.0, t.mouth_y + 0.55 * t.lip_down, t.mouth_w * 0.75, t.lip_down + 1.5, 0.36 * t.lip_down
    )
    _bump(z, 0.0, t.mouth_y + t.lip_down + 4.2, 10.0, 4.0, -1.5)
    _bump(z, 0.0, t.chin_y - 8.5, 12.0, 8.5, 0.8 * t.chin + 0.5)
    _bump(z, 0.0, t.chin_y - 7.0, 1.8, 5.5, -t.cleft)
    _bump(z, 0.0, 0.5 * (t.nose_y + t.mouth_y) + 1.0, 2.4, 6.0, -0.8)
    for step in np.linspace(0.0, 1.0, 8):  # the fold from the nose wing to beside the mouth
        x = t.nose_w + 2.5 + step * (t.mouth_w - t.nose_w + 3.5)
        y = t.nose_y + 1.0 + step * (t.mouth_y - t.nose_y + 1.0)
        _twin(z, x, y, 2.8, 5.0, -0.33 * t.fold)
    if t.lines > 0:
        for y in (28.0, 32.5, 37.0):
            for x in (-14.0, -5.0, 5.0, 14.0):
                _bump(z, x, y + 0.03 * abs(x), 8.0, 1.6, -0.7 * t.lines)
    return z


def skin(t, random):
    """Return the bare skin, uint8 RGB over the whole canvas."""
    shade = np.ones((SIDE, SIDE), np.float32)
    fine = noise(random, SIDE // 2, SIDE // 2).astype(np.float32) - 127.5
    coarse = noise(random, 22, 22).astype(np.float32) - 127.5
    shade += fine * np.float32(0.00022 * t.mottle) + coarse * np.float32(0.00030 * t.mottle)
    # where little light comes
    _twin(shade, t.eye_x, 50.5, 11.0, 7.5, -0.035 * t.socket)
    _twin(shade, t.eye_x, 59.5, 8.0, 4.5, -0.16 * t.bags)
    _bump(shade, 0.0, t.nose_y + 5.5, t.nose_w + 2.0, 3.6, -0.22)
    _twin(shade, t.nose_w + 0.6, t.nose_y + 1.2, 2.4, 4.5, -0.20)
    _bump(shade, 0.0, t.mouth_y + t.lip_down + 3.0, 9.0, 3.4, -0.14)
    _bump(shade, 0.0, t.chin_y - 6.0, 1.5, 4.5, -0.06 * t.cleft)
    for step in np.linspace(0.0, 1.0, 8):
        x = t.nose_w + 2.2 + step * (t.mouth_w - t.nose_w + 3.0)
        y = t.nose_y + 1.0 + step * (t.mouth_y - t.nose_y + 1.0)
        _twin(shade, x, y, 2.0, 5.0, -0.042 * t.fold)
    for y in (28.0, 32.5, 37.0) if t.lines > 0 else ():
        for x in (-14.0, -5.0, 5.0, 14.0):
            _bump(shade, x, y + 0.03 * abs(x), 8.0, 1.1, -0.12 * t.lines)
    red = np.zeros((SIDE, SIDE), np.float32)
    _twin(red, 0.6 * t.width, 72.0, 14.0, 12.0, 0.7)
    _bump(red, 0.0, t.nose_y, 9.0, 8.0, 0.6)
    _bump(red, 0.0, t.chin_y - 8.0, 10.0, 8.0, 0.3)
    red *= np.float32(0.10 + 0.9 * t.flush)
    planes = []
    for tone, change in zip(t.skin, (0.02, -0.13, -0.12)):
        plane = np.float32(tone) * shade * (1 + np.float32(change) * red)
        planes.append(np.clip(np.rint(plane), 0, 255).astype(np.uint8))
    out = cv2.merge(planes)
    brown = tuple(0.62 * c for c in t.skin)
    for _ in range(int(110 * t.freckles)):
        x, y, r = random.bell(0.0, 15.0), random.bell(65.0, 9.0), random.uniform(0.4, 0.95)
        paint(out, dot(x, y, r), brown, 0.55)
    for x, y, r in t.moles:
        paint(out, dot(x, y, r), tuple(0.35 * c for c in t.skin), 0.9)
    if t.scar:
        x, y, slope, length = t.scar
        end = y + slope * length
        mark = [(x, y), (x + length, end), (x + length + 0.4, end + 1.3), (x - 0.3, y + 1.3)]
        light = tuple(min(255.0, 1.12 * c + 12) for c in t.skin)
        paint(out, mark, light, 0.85)
    # nostrils
    dark = tuple(0.30 * c for c in t.skin)
    for side in (-1, 1):
        x = side * 0.52 * t.nose_w
        nostril = [(x - 2.0, t.nose_y + 3.7), (x, t.nose_y + 2.6), (x + 2.0, t.nose_y + 3.7),
                   (x, t.nose_y + 4.6)]  # fmt: skip
        paint(out, nostril, dark, 0.8, soft=3)
    return out


_CIRCLE = np.array(
    [(1.0, 0.0), (0.9239, 0.3827), (0.7071, 0.7071), (0.3827, 0.9239), (0.0, 1.0)], np.float64
)
_CIRCLE = np.concatenate([_CIRCLE[:-1] @ turn for turn in (
    np.array([[1, 0], [0, 1]]), np.array([[0, 1], [-1, 0]]),
    np.array([[-1, 0], [0, -1]]), np.array([[0, -1], [1, 0]]))])  # fmt: skip


def dot(x, y, rx, ry=None):
    """Return an ellipse as a polygon of 16 points."""
    return _CIRCLE * (rx, rx if ry is None else ry) + (x, y)
