"""TFRecord files and the `tf.train.Example` in each record, without TensorFlow."""

from __future__ import annotations

import pathlib
import struct
import typing

import numpy as np

from ...errors import DataError
from ...files import StrPath
from .crc32c import masked_crc32c
from .positioned_file import PositionedFile

__all__ = ["TFRecordFile", "parse_example"]

_FRAME = struct.Struct("<QI")
MOST_BYTES = 64 << 20  # of a record


class TFRecordFile:
    """Records of a file, read at their positions.

    Parameters
    ----------
    path : str or pathlib.Path
    keep_open : bool, default True
        As for `PositionedFile`.
    """

    def __init__(self, path: StrPath, keep_open: bool = True):
        self.path = pathlib.Path(path)
        self.file = PositionedFile(path, keep_open)

    def length(self, offset: int) -> int:
        """Return the length of the record at an offset; DataError when its checksum is wrong."""
        head = self.file.read(offset, _FRAME.size)
        length, checksum = _FRAME.unpack(head)
        if masked_crc32c(head[:8]) != checksum:
            which = "first length" if offset == 0 else f"length at byte {offset}"
            raise DataError(
                f"{self.path} is no TFRecord file, or damaged: the checksum of the {which} is "
                "wrong; fetch or write it again"
            )
        if length > MOST_BYTES:
            raise DataError(
                f"{self.path}: the record at byte {offset} has {length:,} bytes, more than "
                f"{MOST_BYTES:,}; it is refused"
            )
        return length

    def record(self, offset: int, check: bool = True) -> bytes:
        """Return the data of the record at an offset, with its checksum checked."""
        length = self.length(offset)
        data = self.file.read(offset + _FRAME.size, length + 4)
        data, stored = data[:-4], struct.unpack("<I", data[-4:])[0]
        if check and masked_crc32c(data) != stored:
            raise DataError(
                f"{self.path}: the record at byte {offset} is damaged: its checksum is wrong"
            )
        return data

    def offsets(self) -> np.ndarray:
        """Return where the records begin, int64 (n,); all lengths and their checksums are read."""
        found, at = [], 0
        while at < self.file.size:
            found.append(at)
            at += _FRAME.size + self.length(at) + 4
        if at > self.file.size:
            raise DataError(
                f"{self.path} is a TFRecord file that was cut short: its last record ends at byte "
                f"{at}, it has {self.file.size}; fetch it again"
            )
        return np.array(found, np.int64)


def _varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise DataError("a number in it is too long")


def _fields(data, start, end):
    """Yield (number, wire type, value): a number, or (start, end) of bytes."""
    at = start
    while at < end:
        tag, at = _varint(data, at)
        kind = tag & 7
        if kind == 0:
            value, at = _varint(data, at)
            yield tag >> 3, kind, value
            continue
        if kind == 2:
            length, at = _varint(data, at)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise DataError(f"it has a field of wire type {kind}")
        if at + length > end:
            raise DataError("a field of it ends outside")
        yield tag >> 3, kind, (at, at + length)
        at += length


def _values(data, start, end):
    """Return (kind, values) of a feature: bytes, float or int64."""
    for number, kind, span in _fields(data, start, end):
        if kind != 2 or number not in (1, 2, 3):
            continue
        values: list[typing.Any] = []
        for field, wire, value in _fields(data, *span):
            if field != 1:
                continue
            if number == 1 and wire == 2:
                values.append(bytes(data[value[0] : value[1]]))
            elif number == 2 and wire in (2, 5):
                raw = bytes(data[value[0] : value[1]])
                values += np.frombuffer(raw[: len(raw) // 4 * 4], "<f4").tolist()
            elif number == 3 and wire == 0:
                values.append(value if value < 1 << 63 else value - (1 << 64))
            elif number == 3 and wire == 2:  # packed
                at = value[0]
                while at < value[1]:
                    one, at = _varint(data, at)
                    values.append(one if one < 1 << 63 else one - (1 << 64))
        return ("bytes", "float", "int64")[number - 1], values
    return "none", []


def parse_example(data: bytes) -> dict[str, tuple[str, list]]:
    """Return the features of a `tf.train.Example`: name -> (kind, values).

    Raises
    ------
    DataError
        When it is none.
    """
    found: dict[str, tuple[str, list]] = {}
    try:
        for number, kind, span in _fields(data, 0, len(data)):
            if number != 1 or kind != 2:
                continue
            for field, wire, entry in _fields(data, *span):
                if field != 1 or wire != 2:
                    continue
                name = ""
                feature: tuple[str, list] = ("none", [])
                for part, form, value in _fields(data, *entry):
                    if part == 1 and form == 2:
                        name = data[value[0] : value[1]].decode("utf-8", "replace")
                    elif part == 2 and form == 2:
                        feature = _values(data, *value)
                found[name] = feature
    except (IndexError, ValueError, TypeError) as error:
        raise DataError(f"it is no tf.train.Example: {error}") from error
    return found
