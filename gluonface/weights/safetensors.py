"""Read safetensors files: a JSON header with the offsets of the tensors, then their numbers."""

from __future__ import annotations

import json
import math
import os

import numpy as np

from ..errors import DataError
from .content import read_bytes
from .torch_pickle import widened, without_prefixes

__all__ = ["read_safetensors"]

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
}


def read_safetensors(path: str | os.PathLike, data: bytes | None = None) -> dict[str, np.ndarray]:
    """Return the tensors of a safetensors file under the names that `read_torch` gives them.

    Parameters and errors are those of `read_torch`.
    """
    if data is None:
        data = read_bytes(path)
    try:
        length = int.from_bytes(data[:8], "little")
        if len(data) < 8 or length > len(data) - 8:
            raise DataError("its header is not whole")
        header = json.loads(data[8 : 8 + length].decode())
        if not isinstance(header, dict):
            raise DataError("its header is no dict")
        header.pop("__metadata__", None)
        numbers = memoryview(data)[8 + length :]
        tensors = {name: _tensor(name, entry, numbers) for name, entry in header.items()}
        return without_prefixes(tensors)
    except DataError as error:
        raise DataError(f"{path} cannot be read as safetensors: {error}") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is damaged or no safetensors file: {error}") from None


def _tensor(name, entry, numbers):
    """Return the array of a header's entry."""
    try:
        kind, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
        whole = all(type(n) is int and n >= 0 for n in (*shape, begin, end))
    except (TypeError, KeyError, ValueError):
        raise DataError(f"the header's entry of {name!r} is not whole") from None
    if str(kind) not in TYPES:
        raise DataError(f"the tensor {name!r} is of the unknown type {kind!r}")
    dtype = np.dtype(TYPES[kind])
    if not whole or end - begin != math.prod(shape) * dtype.itemsize or end > len(numbers):
        raise DataError(
            f"the tensor {name!r} of shape {tuple(shape)} and type {kind} is said to lie at "
            f"{begin} to {end} of {len(numbers)} bytes"
        )
    array = np.frombuffer(numbers[begin:end], dtype).reshape(shape)
    return widened(array) if kind == "BF16" else array
