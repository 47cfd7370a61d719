"""JPEGs that are damaged in the middle, which decoders fill with grey or other colours.

libjpeg, and OpenCV and Pillow with it, decode them without an error. ``native/jpeg_scan.cc``
follows the Huffman codes from the first to the last block: damage shows as a code that does not
exist, too many coefficients in a block, a brightness out of range, or data that end before or
after the last block. It takes a fraction of the time of decoding. Without a C++ compiler nothing is
checked.
"""

from __future__ import annotations

import ctypes
import functools

from ...native.plain import load_plain

__all__ = ["find_jpeg_damage"]

REASONS = {
    1: "its compressed data are damaged",
    2: "its compressed data end early",
    3: "it has more compressed data than its size needs: some are damaged",
}


def find_jpeg_damage(data: bytes) -> str | None:
    """Return what is damaged in the compressed data of a JPEG; None when nothing is found.

    Parameters
    ----------
    data : bytes
        A JPEG. Where its markers are damaged, decoders report an error; None then.

    Notes
    -----
    A byte that is changed into other codes of the same length is not found. Of some 200 damages of
    40 to 200 bytes in crops and photographs, nine of ten were.
    """
    scan = _scan()
    return None if scan is None else REASONS.get(scan(data, len(data)))


@functools.lru_cache(maxsize=1)
def _scan():
    """Return the compiled function, or None."""
    library = load_plain("jpeg_scan", "JPEGs are not checked for damage in the middle")
    if library is None:
        return None
    function = library.gluonface_jpeg_damage
    function.argtypes, function.restype = (ctypes.c_char_p, ctypes.c_size_t), ctypes.c_int
    return function
