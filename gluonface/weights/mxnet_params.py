"""Read MXNet's `.params` files in Python.

MXNet's own reader ends the process or raises a C++ trace on files that are cut off or are
something else. This one checks every length against the file and says what is wrong.
"""

from __future__ import annotations

import os
import struct
import typing

import numpy as np

from ..errors import DataError
from .content import MAX_DIMENSIONS, MAX_NUMBER, read_bytes

__all__ = ["join_params", "params_bytes", "read_params", "split_params"]

LIST_MAGIC = 0x112
V1, V2, V3 = 0xF993FAC8, 0xF993FAC9, 0xF993FACA
DTYPES = {
    0: np.float32,
    1: np.float64,
    2: np.float16,
    3: np.uint8,
    4: np.int32,
    5: np.int8,
    6: np.int64,
    7: np.bool_,
}
MAX_NAME = 1000  # bytes


class _Reader:
    def __init__(self, path, data):
        self.path, self.data, self.at = path, data, 0

    def fail(self, why):
        raise DataError(
            f"{self.path} is not a whole MXNet parameter file: {why} at byte {self.at} of "
            f"{len(self.data)}. Copy or export it again."
        )

    def take(self, size):
        if size < 0 or self.at + size > len(self.data):
            self.fail(f"{size} more bytes were expected")
        self.at += size
        return self.data[self.at - size : self.at]

    def unpack(self, types):
        values = struct.unpack("<" + types, self.take(struct.calcsize("<" + types)))
        return values if len(values) > 1 else values[0]

    def shape(self, wide):
        ndim = self.unpack("i")
        if not 0 <= ndim <= MAX_DIMENSIONS:
            self.fail(f"an array of {ndim} dimensions")
        return tuple(
            np.atleast_1d(self.unpack(("q" if wide else "I") * ndim)).tolist() if ndim else ()
        )

    def array(self):
        magic = self.unpack("I")
        if magic in (V2, V3):
            if self.unpack("i") != 0:
                self.fail("a sparse array, which no model here has,")
            shape = self.shape(wide=True)
            if not shape and magic == V2:
                return np.zeros((0,), np.float32)
        elif magic == V1:
            shape = self.shape(wide=True)
        else:  # before MXNet 0.11 the number of dimensions came first
            self.at -= 4
            shape = self.shape(wide=False)
        self.take(8)  # the device it was saved from
        flag = self.unpack("i")
        if flag not in DTYPES:
            self.fail(f"an array of the unknown type {flag}")
        if any(not 0 <= size <= MAX_NUMBER for size in shape):
            self.fail(f"an array of the shape {shape}")
        dtype = np.dtype(DTYPES[flag])
        count = 1
        for size in shape:
            count *= size
        return np.frombuffer(self.take(count * dtype.itemsize), dtype).reshape(shape)


def read_params(path: str | os.PathLike, data: bytes | None = None) -> dict[str, np.ndarray]:
    """Read a `.params` file.

    Parameters
    ----------
    path : str or pathlib.Path
    data : bytes, optional
        The content of the file, where it has been read already.

    Returns
    -------
    dict of str to numpy.ndarray
        Read-only arrays under the names of the file, ``arg:`` and ``aux:`` included.

    Raises
    ------
    InputError
        If there is no such file.
    DataError
        If it is cut off or not a file of named MXNet arrays.
    """
    if data is None:
        data = read_bytes(path)
    if len(data) < 24 or struct.unpack_from("<Q", data)[0] != LIST_MAGIC:
        raise DataError(
            f"{path} is not an MXNet parameter file: it begins with {data[:8].hex() or 'nothing'}, "
            "not with 1201000000000000. PyTorch and ONNX weights go through `gluonface import`."
        )
    reader = _Reader(path, data)
    reader.take(16)
    count = reader.unpack("Q")
    if count > len(data):
        reader.fail(f"{count} arrays")
    arrays = [reader.array() for _ in range(count)]
    names = []
    named = reader.unpack("Q")
    if named != count:
        reader.fail(f"{named} names for {count} arrays")
    for _ in range(named):
        length = reader.unpack("Q")
        if length > MAX_NAME:
            reader.fail(f"a name of {length} bytes")
        raw = bytes(reader.take(length))
        try:
            names.append(raw.decode())
        except UnicodeDecodeError:
            reader.fail(f"the name {raw[:20]!r}")
        if not names[-1].isprintable():
            reader.fail(f"the name {raw[:20]!r}")
    if reader.at != len(data):
        reader.fail(f"{len(data) - reader.at} bytes after its end")
    if len(set(names)) != len(names):
        reader.fail("a name that occurs twice")
    return dict(zip(names, arrays))


def params_bytes(arrays: dict[str, np.ndarray]) -> bytes:
    """Return the content of a `.params` file with these arrays, as MXNet writes it.

    Parameters
    ----------
    arrays : dict of str to numpy.ndarray
    """
    flags = {np.dtype(dtype): flag for flag, dtype in DTYPES.items()}
    content = [struct.pack("<QQQ", LIST_MAGIC, 0, len(arrays))]
    for array in arrays.values():
        shape = array.shape
        content.append(struct.pack(f"<Iii{len(shape)}q", V2, 0, len(shape), *shape))
        content.append(struct.pack("<iii", 1, 0, flags[array.dtype]))  # of cpu(0)
        content.append(np.ascontiguousarray(array).tobytes())
    content.append(struct.pack("<Q", len(arrays)))
    for name in arrays:
        raw = name.encode()
        content.append(struct.pack("<Q", len(raw)) + raw)
    return b"".join(content)


def split_params(arrays: dict) -> tuple[dict, dict]:
    """Split ``{"arg:x": ..., "aux:y": ...}`` into two dicts without the prefixes."""
    args, auxs = {}, {}
    for name, array in arrays.items():
        kind, _, bare = name.partition(":")
        if kind == "aux" and bare:
            auxs[bare] = array
        else:
            args[bare if kind == "arg" and bare else name] = array
    return args, auxs


def join_params(symbol: typing.Any, values: dict) -> dict:
    """Return a symbol's parameters under ``arg:NAME`` and ``aux:NAME``."""
    auxiliary = set(symbol.list_auxiliary_states())
    return {("aux:" if k in auxiliary else "arg:") + k: v for k, v in values.items()}
