"""Encoded images: what is refused before it is decoded."""

import struct
import zlib

import numpy as np
import pytest
from record_files import picture, png, write

from gluonface.data import RecordDataset, images
from gluonface.data.recordio.record import pack
from gluonface.errors import DataError


def resized_png(width, height):
    """A PNG that says it has other pixels, with the right checksum."""
    data = bytearray(png())
    data[16:24] = struct.pack(">II", width, height)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    return bytes(data)


def resized_jpeg(width, height):
    """A JPEG of 900 bytes that says it has other pixels: OpenCV would make room for them all."""
    data = bytearray(images.encode(picture(), 95))
    at = data.find(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def test_images_that_are_none(tmp_path):
    jpeg = images.encode(picture(), 95)
    changed = bytearray(png())
    changed[60] ^= 1
    long = bytearray(png())
    long[33:37] = b"\x40\0\0\0"  # a chunk of 1 GB, for which OpenCV would make room
    cases = [
        (b"", "it is empty"),
        (b"GIF89a and so on", "not a JPEG, PNG, WebP or BMP"),
        (jpeg[:-40], "a JPEG that ends early"),
        (png()[:-40], "a PNG that ends early"),
        (png()[:-2], "a PNG that ends early"),
        (bytes(long), "a length in it is damaged"),
        (bytes(changed), "b'IDAT' chunk does not have the checksum"),
        (resized_png(20000, 20000), "20000 x 20000 pixels, more than"),
        (resized_png(8000, 8000), "too few for 8000 x 8000 pixels"),
        (resized_jpeg(20000, 20000), "20000 x 20000 pixels, more than"),
        (jpeg.replace(b"\xff\xc0", b"\xff\xc4", 1), "a JPEG whose header is damaged"),
        (b"\xff\xd8 nothing \xff\xd9", "a JPEG whose header is damaged"),
    ]
    payloads = [pack(0.0, 0, png())] + [pack(0.0, i + 1, data) for i, (data, _) in enumerate(cases)]
    dataset = RecordDataset(write(tmp_path / "set", payloads))
    for i, (_, reason) in enumerate(cases, 1):
        with pytest.raises(DataError, match=rf"the image of record {i} cannot be used: .*{reason}"):
            dataset[i]


def test_sizes_without_decoding():
    from gluonface._compat import cv2

    image = np.zeros((30, 50, 3), np.uint8)
    for suffix in (".jpg", ".png", ".webp", ".bmp"):
        data = cv2.imencode(suffix, image)[1].tobytes()
        assert images.size(data) == (30, 50), suffix
        assert images.find_defect(data) is None
        np.testing.assert_array_equal(images.decode(data), image)
