"""HEIC and AVIF: read where a package can, else named as what they are."""

import io
import sys
import types

import numpy as np
import pytest

from gluonface.data import images
from gluonface.data.image_formats import heif
from gluonface.data.tools.write_records import pack
from gluonface.errors import DataError

Image = pytest.importorskip("PIL.Image")
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40)
PICTURE = np.full((112, 112, 3), (200, 60, 30), np.uint8)


def avif():
    features = pytest.importorskip("PIL.features")
    if not features.check("avif"):
        pytest.skip("this Pillow reads no AVIF")
    file = io.BytesIO()
    Image.fromarray(PICTURE).save(file, "AVIF", quality=95)
    return file.getvalue()


def test_formats_by_their_brands():
    assert heif.heif_format(HEIC) == "HEIC"
    assert heif.heif_format(b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif") == "AVIF"
    assert heif.heif_format(b"\0\0\0\x18ftypisom\0\0\0\0isommp41") is None  # a film
    assert heif.heif_format(b"\xff\xd8") is None


def test_avif_is_read_and_its_size_known():
    data = avif()
    assert images.size(data) == (112, 112)
    assert images.find_defect(data) is None
    assert np.abs(images.decode(data).astype(int) - PICTURE).max() <= 4  # lossy
    with pytest.raises(DataError, match="a damaged AVIF image"):
        images.decode(data[: len(data) // 2])


def test_a_format_without_a_reader_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(DataError, match=r"it is a HEIC image.*pip install pillow-heif"):
        images.decode(HEIC)
    assert images.size(HEIC) is None


def test_heic_is_read_with_its_package(monkeypatch):
    """A stand-in for pillow_heif, whose class opens a file as Pillow's own do."""

    def opened(file):
        file.read()
        return Image.fromarray(PICTURE)

    monkeypatch.setitem(sys.modules, "pillow_heif", types.SimpleNamespace(HeifImageFile=opened))
    np.testing.assert_array_equal(images.decode(HEIC), PICTURE)
    assert images.size(HEIC) == (112, 112)


def test_records_get_jpegs_of_them(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    (tmp_path / "people/ann").mkdir(parents=True)
    (tmp_path / "people/ann/a.avif").write_bytes(avif())
    (tmp_path / "people/ann/b.HEIC").write_bytes(HEIC)
    found = pack(tmp_path / "people", tmp_path / "set", progress=False)
    assert found["images"] == 1
    ((name, reason),) = found["left_out"]
    assert name.endswith("b.HEIC")
    assert "HEIC" in reason
    from gluonface.data import RecordDataset

    assert RecordDataset(tmp_path / "set").read(0)[:2] == b"\xff\xd8"
