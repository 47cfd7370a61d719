"""MATLAB's files of version 5 to 7: numbers, texts, cells and structures, within bounds.

SciPy's reader takes as much memory as the dimensions in a damaged file ask for; here a file can
hold no more values than it has bytes.
"""

from __future__ import annotations

import math
import struct
import typing
import zlib

import numpy as np

from ...errors import DataError, InputError

__all__ = ["flat_texts", "read_mat"]

_UNPACKED = 256 << 20  # bytes of one compressed variable
_DEPTH = 16  # of cells in cells
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8"}
_NUMBERS[13] = "u8"
_ENCODINGS = {16: "utf-8", 17: "utf-16", 18: "utf-32"}
_MATRIX, _COMPRESSED = 14, 15
_CELL, _STRUCT, _CHAR = 1, 2, 4
_NUMERIC = range(6, 16)  # classes from double to uint64


def read_mat(data: bytes, name: str) -> dict[str, typing.Any]:
    """Return the variables of a MATLAB file.

    Parameters
    ----------
    data : bytes
    name : str
        What messages call the file.

    Returns
    -------
    dict of str to value
        A text is a str (a matrix of characters: an array of str, a row each). Numbers are an array,
        a cell an array of objects, a structure an array of tuples of its fields in their order; all
        with MATLAB's shape. Variables of other kinds are left out.

    Raises
    ------
    InputError
        It is of version 7.3 or 4.
    DataError
        It is no such file, or is damaged.
    """
    if data.startswith(b"MATLAB 7.3") or data.startswith(b"\x89HDF"):
        raise InputError(f"{name} is a MATLAB 7.3 file; save it with -v7 to have it read")
    if len(data) < 128 or not data.startswith(b"MATLAB 5.0") or data[126:128] not in (b"IM", b"MI"):
        raise DataError(f"{name} is no MATLAB file of version 5 to 7 (save it with -v7)")
    order = "<" if data[126:128] == b"IM" else ">"
    found, at = {}, 128
    try:
        while at < len(data):
            kind, body, at = _element(data, at, order)
            if kind == _COMPRESSED:
                kind, body, _ = _element(_inflate(body), 0, order)
            if kind != _MATRIX:
                raise DataError(f"it holds an element of kind {kind} where a variable was expected")
            variable, value = _matrix(body, order)
            if value is not None:
                found[variable] = value
    except DataError as error:
        raise DataError(f"{name} is damaged: {error}; fetch it again") from error
    except (struct.error, ValueError, IndexError, zlib.error, OverflowError) as error:
        raise DataError(f"{name} is damaged: {type(error).__name__} {error}") from error
    return found


def flat_texts(value: typing.Any, what: str) -> list[str]:
    """Return the texts of a cell of texts, or of a matrix of characters, row by row.

    Raises
    ------
    DataError
        When it holds anything else; `what` names it.
    """
    items = [value] if isinstance(value, str) else list(np.asarray(value, object).ravel())
    if not all(isinstance(item, str) for item in items):
        raise DataError(f"{what} holds something else than texts")
    return [item.strip() for item in items]


def _inflate(body):
    stream = zlib.decompressobj()
    data = stream.decompress(body, _UNPACKED + 1)
    if len(data) > _UNPACKED:
        raise DataError(f"a variable unpacks to more than {_UNPACKED:,} bytes")
    if not stream.eof:
        raise DataError("it was cut short")
    return data


def _element(data, at, order):
    """Return (kind, content, where the next begins)."""
    kind, size = struct.unpack_from(f"{order}II", data, at)
    if kind >> 16:  # a small one: size, kind and content in eight bytes
        kind, size = kind & 0xFFFF, kind >> 16
        if size > 4:
            raise DataError("a small element has more than four bytes")
        return kind, data[at + 4 : at + 4 + size], at + 8
    start = at + 8
    body = data[start : start + size]
    if len(body) < size:
        raise DataError("it was cut short")
    return kind, body, start + size + (0 if kind == _COMPRESSED else -size % 8)


def _numbers(data, at, order):
    kind, body, at = _element(data, at, order)
    if kind not in _NUMBERS:
        raise DataError(f"it has an element of kind {kind} in place of numbers")
    return np.frombuffer(body, order + _NUMBERS[kind]), at


def _matrix(data, order, depth=0):
    """Return (name, value) of a variable; the value of an unknown kind is None."""
    if not data:
        return "", np.empty((0, 0))
    if depth > _DEPTH:
        raise DataError("its cells are too deep")
    flags, at = _numbers(data, 0, order)
    shape, at = _numbers(data, at, order)
    _, name, at = _element(data, at, order)
    kind = int(flags[0]) & 0xFF
    shape = tuple(int(n) for n in shape)
    if len(shape) < 2 or any(n < 0 for n in shape):
        raise DataError("a variable has an impossible shape")
    count = math.prod(shape)
    if count > len(data):
        raise DataError(f"a variable of {len(data)} bytes says that it holds {count} values")
    value: typing.Any = None
    if kind == _CELL:
        value, at = _cells(data, at, order, depth, count)
    elif kind == _STRUCT:
        value, at = _structures(data, at, order, depth, count)
    elif kind == _CHAR:
        return name.decode("latin-1"), _text(data, at, order, shape, count)
    elif kind in _NUMERIC and not int(flags[0]) & 0x800:  # not complex
        value, at = _numbers(data, at, order)
        if len(value) != count:
            raise DataError(f"a variable has {len(value)} values, not {count}")
    if value is not None:
        value = value.reshape(shape, order="F")
    return name.decode("latin-1"), value


def _objects(items):
    result = np.empty(len(items), object)
    for place, item in enumerate(items):
        result[place] = item
    return result


def _cells(data, at, order, depth, count):
    items = []
    for _ in range(count):
        kind, body, at = _element(data, at, order)
        if kind != _MATRIX:
            raise DataError("a cell holds something else than a value")
        items.append(_matrix(body, order, depth + 1)[1])
    return _objects(items), at


def _structures(data, at, order, depth, count):
    (length,), at = _numbers(data, at, order)
    _, names, at = _element(data, at, order)
    fields = len(names) // int(length) if length > 0 else 0
    if not fields and count > 1:
        raise DataError("a structure has no fields")
    items = []
    for _ in range(count):
        values, at = _cells(data, at, order, depth, fields)
        items.append(tuple(values))
    return _objects(items), at


def _text(data, at, order, shape, count):
    kind, body, at = _element(data, at, order)
    if kind in _ENCODINGS:
        encoding = _ENCODINGS[kind] + ("" if kind == 16 else "-le" if order == "<" else "-be")
        text = body.decode(encoding)
    elif kind in _NUMBERS:
        text = "".join(map(chr, np.frombuffer(body, order + _NUMBERS[kind]).tolist()))
    else:
        raise DataError(f"a text is of the kind {kind}")
    if len(text) != count:
        raise DataError(f"a text has {len(text)} characters, not {count}")
    if shape[0] <= 1 or len(shape) > 2:
        return text
    return _objects([text[row :: shape[0]] for row in range(shape[0])])
