"""Turned photographs: every orientation of every format that has one."""

import io

import numpy as np
import pytest

from gluonface.data import images
from gluonface.data.image_formats.exif import orientation

Image = pytest.importorskip("PIL.Image")

UPRIGHT = np.zeros((48, 32, 3), np.uint8)
UPRIGHT[:24, :16] = 255, 0, 0
UPRIGHT[:24, 16:] = 0, 255, 0
UPRIGHT[24:, :16] = 0, 0, 255
# EXIF 2.3: where the stored row 0 and column 0 are shown; what undoes each value.
STORED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: a.transpose(1, 0, 2)[::-1],
    7: lambda a: a.transpose(1, 0, 2)[::-1, ::-1],
    8: lambda a: a.transpose(1, 0, 2)[:, ::-1],
}


def written(form, value, **options):
    exif = Image.Exif()
    exif[0x0112] = value
    file = io.BytesIO()
    stored = np.ascontiguousarray(STORED.get(value, STORED[1])(UPRIGHT))
    Image.fromarray(stored).save(file, form, exif=exif, **options)
    return file.getvalue()


@pytest.mark.parametrize("value", sorted(STORED))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_turned_images_are_decoded_upright(form, value):
    from PIL import features

    if form == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow reads no AVIF")
    options = {"lossless": True} if form == "WEBP" else {"quality": 100}
    found = images.decode(written(form, value, **options))
    assert found.shape == UPRIGHT.shape
    # In the middle of the quarters, where a lossy codec is near: JPEG differs by 1 or 2.
    for row in (12, 36):
        for column in (8, 24):
            near = np.abs(found[row, column].astype(int) - UPRIGHT[row, column]).max()
            assert near <= (0 if form in ("PNG", "WEBP") else 8), (row, column)


def test_exif_that_is_damaged_is_upright():
    whole = written("WEBP", 6, lossless=True)
    assert orientation(whole) == 6
    at = whole.index(b"EXIF") + 8
    for place in range(at, len(whole)):  # cut in every place
        assert orientation(whole[:place]) in (1, 6)
    for value in (0, 9, 300):
        assert orientation(written("PNG", value)) == 1
    header = whole.index(b"MM\0*") if b"MM\0*" in whole else whole.index(b"II*\0")
    assert orientation(whole[:header] + b"XX*\0" + whole[header + 4 :]) == 1
