"""CRC-32C against the sum bit by bit."""

import numpy as np
import pytest

from gluonface.data.formats.crc32c import crc32c, masked_crc32c


def bit_by_bit(data):
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 * (value & 1))
    return value ^ 0xFFFFFFFF


@pytest.mark.parametrize("length", [0, 1, 8, 16, 17, 4095, 4096, 4097, 4099, 8192, 8195])
def test_any_length(length):
    data = np.random.Generator(np.random.PCG64(length)).bytes(length)
    assert crc32c(data) == bit_by_bit(data)


def test_the_published_check_value():
    assert crc32c(b"123456789") == 0xE3069283
    assert masked_crc32c(b"123456789") == 0xC78AB0E5
