"""Read safetensors files: a JSON header with the offsets of the tensors, then their numbers."""

from __future__ import annotations

import json
import math
import os
import typing

import numpy as np

from ..errors import DataError, shown
from ..files import parse_json
from .content import MAX_DIMENSIONS, MAX_NUMBER, read_bytes
from .torch_pickle import widened

__all__ = ["read_safetensors", "safetensors_bytes"]

TYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",  # float32 without its lower half
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U8": "u1",
    "BOOL": "?",
    **{"U64": "<u8", "U32": "<u4", "U16": "<u2"},
}
MAX_HEADER = 100_000_000  # bytes, the limit of the format's own library
KEYS = {"dtype", "shape", "data_offsets"}


def safetensors_bytes(arrays: dict[str, np.ndarray], metadata: dict[str, str]) -> bytes:
    """Return the content of a safetensors file: the tensors in their order, and the metadata."""
    kinds = {np.dtype(kind).str: name for name, kind in TYPES.items() if name != "BF16"}
    kinds["<u2"] = "U16"
    header: dict[str, typing.Any] = {"__metadata__": metadata}
    numbers, at = [], 0
    for name, array in arrays.items():
        raw = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
        kind = kinds[array.dtype.newbyteorder("<").str]
        place = [at, at + len(raw)]
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": place}
        numbers.append(raw)
        at += len(raw)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # so that the numbers are aligned
    return b"".join([len(text).to_bytes(8, "little"), text, *numbers])


def read_safetensors(path: str | os.PathLike, data: bytes | None = None) -> dict[str, np.ndarray]:
    """Return the tensors of a safetensors file under the names that `read_torch` gives them.

    Parameters and errors are those of `read_torch`.
    """
    if data is None:
        data = read_bytes(path)
    try:
        length = int.from_bytes(data[:8], "little")
        if len(data) < 8 or length > min(len(data) - 8, MAX_HEADER):
            raise DataError("its header is not whole")
        header = parse_json(data[8 : 8 + length], "its header")
        if not isinstance(header, dict):
            raise DataError("its header is no dict")
        header.pop("__metadata__", None)
        numbers = memoryview(data)[8 + length :]
        places = {name: _place(name, entry) for name, entry in header.items()}
        _require_no_gaps(places, len(numbers))
        return {name: _array(numbers, *row) for name, row in places.items()}
    except DataError as error:
        raise DataError(
            f"{path} cannot be read as safetensors: {error}; fetch or write it again"
        ) from None


def _place(name, entry):
    """Return (type, shape, begin, end) of a header's entry, checked against each other."""
    if not isinstance(entry, dict) or set(entry) != KEYS:
        raise DataError(
            f"the header's entry of {shown(name)} is not whole: expected {', '.join(sorted(KEYS))}"
        )
    kind, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(kind, str) or kind not in TYPES:
        raise DataError(f"the tensor {shown(name)} is of the unknown type {shown(kind)}")
    if not _whole(shape, MAX_DIMENSIONS):
        raise DataError(f"the tensor {shown(name)} has an impossible shape")
    if not _whole(offsets, 2) or len(offsets) != 2:
        raise DataError(f"the tensor {shown(name)} has no place in the file: {shown(offsets)}")
    begin, end = offsets
    if end - begin != math.prod(shape) * np.dtype(TYPES[kind]).itemsize:
        raise DataError(
            f"the tensor {shown(name)} of shape {tuple(shape)} and type {kind} is said to lie at "
            f"{begin} to {end}"
        )
    return kind, shape, begin, end


def _whole(values, most):
    """Whether this is a list of at most `most` sizes or offsets."""
    return (
        isinstance(values, list)
        and len(values) <= most
        and all(type(n) is int and 0 <= n <= MAX_NUMBER for n in values)
    )


def _require_no_gaps(places, size):
    """Raise unless the tensors fill the numbers of the file, one after another."""
    at = 0
    for name, (_, _, begin, end) in sorted(places.items(), key=lambda item: item[1][2:]):
        if begin != at:
            what = "overlaps the one before it" if begin < at else f"leaves a gap after byte {at}"
            raise DataError(f"the tensor {shown(name)} at {begin} to {end} {what}")
        at = end
    if at != size:
        raise DataError(f"its tensors take {at} bytes, the file has {size} for them")


def _array(numbers, kind, shape, begin, end):
    array = np.frombuffer(numbers[begin:end], np.dtype(TYPES[kind])).reshape(shape)
    return widened(array) if kind == "BF16" else array
