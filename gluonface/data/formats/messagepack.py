"""MessagePack, as far as training sets in LMDB need it: bytes, text, whole numbers and arrays."""

from __future__ import annotations

import struct

from ...errors import DataError

__all__ = ["unpack"]

_UNSIGNED = {0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q"}
_SIGNED = {0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q"}
_BYTES = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4}  # bin and str (raw in old files)
_ARRAYS = {0xDC: 2, 0xDD: 4}
_DEPTH = 4


def unpack(data: bytes | memoryview):
    """Return the value that bytes hold: int, bytes (text too), bool, None or a list of these.

    Raises
    ------
    DataError
        When it is cut short, is followed by something, or holds another type.
    """
    value, end = _value(data, 0, 0)
    if end != len(data):
        raise DataError(f"its MessagePack value ends at byte {end} of {len(data)}")
    return value


def _value(data, at, depth):
    """Return the value at a position and the position after it."""
    try:
        tag = data[at]
        if tag < 0x80:
            return tag, at + 1
        if tag >= 0xE0:
            return tag - 256, at + 1
        if tag in _BYTES or 0xA0 <= tag < 0xC0:
            start, length = _length(data, at, tag)
            if start + length > len(data):
                raise DataError("its MessagePack value was cut short")
            return bytes(data[start : start + length]), start + length
        if tag in _ARRAYS or 0x90 <= tag < 0xA0:
            if depth == _DEPTH:
                raise DataError("its MessagePack arrays are nested too deeply")
            start, length = _length(data, at, tag)
            if length > len(data) - start:  # an element has a byte at least
                raise DataError("its MessagePack array was cut short")
            items = []
            for _ in range(length):
                item, start = _value(data, start, depth + 1)
                items.append(item)
            return items, start
        for forms in (_UNSIGNED, _SIGNED):
            if tag in forms:
                end = at + 1 + struct.calcsize(forms[tag])
                return struct.unpack_from(forms[tag], data, at + 1)[0], end
    except (IndexError, struct.error) as error:
        raise DataError("its MessagePack value was cut short") from error
    if tag in (0xC0, 0xC2, 0xC3):
        return {0xC0: None, 0xC2: False, 0xC3: True}[tag], at + 1
    raise DataError(f"it holds a MessagePack value of type 0x{tag:02x}, which no face set needs")


def _length(data, at, tag):
    """Return (position of the content, its length) of bytes, text or an array."""
    if tag < 0xC0:
        return at + 1, tag & (0x1F if tag >= 0xA0 else 0x0F)
    size = _BYTES.get(tag) or _ARRAYS[tag]
    if at + 1 + size > len(data):
        raise DataError("its MessagePack value was cut short")
    return at + 1 + size, int.from_bytes(data[at + 1 : at + 1 + size], "big")
