"""CRC-32C (Castagnoli), as TFRecord uses it, by NumPy."""

from __future__ import annotations

import functools
import typing

import numpy as np

__all__ = ["crc32c", "masked_crc32c"]

_BLOCK = 4096  # bytes that are looked up at once
_XOR: typing.Any = np.bitwise_xor  # NumPy 2.5 has no type of `reduce` for an array of Any


@functools.lru_cache(maxsize=1)
def _byte_table():
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = (table >> 1) ^ (np.uint32(0x82F63B78) * (table & 1))
    return table


@functools.lru_cache(maxsize=1)
def _tables():
    """Return (_BLOCK, 256): what a byte adds to the sum when so many bytes follow it."""
    base = _byte_table()
    tables = np.empty((_BLOCK, 256), np.uint32)
    tables[0] = base
    for place in range(1, _BLOCK):
        before = tables[place - 1]
        tables[place] = (before >> 8) ^ base[before & 255]
    return tables


def crc32c(data: bytes) -> int:
    """Return the CRC-32C of bytes.

    The sum is linear in the bytes: each adds a value that depends on it and on how many follow, so
    a block is one look-up and one XOR over it.
    """
    if len(data) <= 16:  # the length of a record: not worth the large table
        table, value = _byte_table(), 0xFFFFFFFF
        for byte in data:
            value = int(table[(value ^ byte) & 255]) ^ (value >> 8)
        return value ^ 0xFFFFFFFF
    tables = _tables()
    values = np.frombuffer(data, np.uint8)
    value = 0xFFFFFFFF
    for start in range(0, len(values), _BLOCK):
        block = values[start : start + _BLOCK].copy()
        left = max(4 - len(block), 0)  # bytes of the state that a short block leaves
        state = np.frombuffer(value.to_bytes(4, "little"), np.uint8)
        block[: 4 - left] ^= state[: 4 - left]
        places = np.arange(len(block) - 1, -1, -1)
        value = int(_XOR.reduce(tables[places, block])) ^ (value >> 8 * (4 - left) if left else 0)
    return value ^ 0xFFFFFFFF


def masked_crc32c(data: bytes) -> int:
    """Return the CRC-32C of bytes in the form in which TFRecord stores it."""
    value = crc32c(data)
    return ((value >> 15 | value << 17) + 0xA282EAD8) & 0xFFFFFFFF
