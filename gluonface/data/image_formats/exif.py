"""The EXIF orientation of WebP and PNG images; OpenCV itself obeys that of a JPEG."""

from __future__ import annotations

import struct

import numpy as np

from ..._compat import cv2

__all__ = ["orientation", "turn"]

_ORIENTATION, _SHORT = 0x0112, 3
# What brings a stored image upright, by the eight values of the tag: transpose, then mirror.
# Of cv2.flip: 1 left to right, 0 top to bottom, -1 both.
_STEPS = {
    2: (False, 1),
    3: (False, -1),
    4: (False, 0),
    5: (True, None),
    6: (True, 1),
    7: (True, -1),
    8: (True, 0),
}


def orientation(data: bytes) -> int:
    """Return the EXIF orientation of a WebP or PNG image, 1 to 8; 1 where it says nothing.

    Parameters
    ----------
    data : bytes
        The encoded image.
    """
    if data[:4] == b"RIFF" and data[12:16] == b"VP8X" and data[20:21] and data[20] & 0x08:
        exif = _chunk(data, 12, b"EXIF", "<4sI", True)
    elif data[:4] == b"\x89PNG" and b"eXIf" in data:
        exif = _chunk(data, 8, b"eXIf", ">I4s", False)
    else:
        return 1
    return _of_tiff(exif[6:] if exif.startswith(b"Exif\0\0") else exif)


def turn(image: np.ndarray, value: int) -> np.ndarray:
    """Return an image (H, W, C) upright that was stored with an EXIF orientation, 1 to 8."""
    if value not in _STEPS:
        return image
    transpose, mirror = _STEPS[value]
    if transpose:
        image = cv2.transpose(image)
    return image if mirror is None else cv2.flip(image, mirror)


def _chunk(data, at, wanted, head, padded):
    """Return the content of the first chunk of a kind; b"" without one.

    A chunk is a length and a kind, in the order of `head`, the content and, in PNG, a checksum.
    """
    while at + 8 <= len(data):
        found = struct.unpack_from(head, data, at)
        kind, length = found if padded else found[::-1]
        if kind == wanted:
            return data[at + 8 : at + 8 + length]
        at += 8 + length + (length & 1 if padded else 4)
    return b""


def _of_tiff(exif):
    """Return the orientation in the TIFF header and first directory that EXIF consists of."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(bytes(exif[:4]))
    try:
        if order is None:
            return 1
        (start,) = struct.unpack_from(order + "I", exif, 4)
        (count,) = struct.unpack_from(order + "H", exif, start)
        for number in range(count):
            tag, kind, _, value = struct.unpack_from(order + "HHIH", exif, start + 2 + 12 * number)
            if tag == _ORIENTATION:
                return value if kind == _SHORT and 1 <= value <= 8 else 1
    except struct.error:  # cut off: as a viewer does, it is taken for upright
        pass
    return 1
