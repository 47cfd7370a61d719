"""Compressed files: several streams, damage, and content without end."""

import bz2
import gzip
import lzma

import pytest

from gluonface.data.formats import compressed
from gluonface.errors import DataError, InputError

CODECS = {"gzip": gzip.compress, "xz": lzma.compress, "bzip2": bz2.compress}
codecs = pytest.mark.parametrize("codec", CODECS)


@codecs
def test_several_streams_are_one(codec, tmp_path):
    data = bytes(range(256)) * 999
    file = tmp_path / "x.bin"
    file.write_bytes(CODECS[codec](data[:1000]) + CODECS[codec](data[1000:]) + bytes(64))
    assert compressed.compression_of(file.read_bytes()) == codec
    assert compressed.read_unpacked(file) == data


@codecs
def test_a_limit_stops_while_unpacking(codec, tmp_path):
    file = tmp_path / "zeros"
    file.write_bytes(CODECS[codec](bytes(1 << 24)))
    with pytest.raises(DataError, match="unpacks to more than 1,000,000 bytes"):
        compressed.read_unpacked(file, 1_000_000)


@codecs
@pytest.mark.parametrize("change", ["cut", "followed"])
def test_damage(codec, change, tmp_path):
    whole = CODECS[codec](bytes(range(256)) * 300)
    file = tmp_path / "x"
    file.write_bytes(whole[:-5] if change == "cut" else whole + b"something else")
    with pytest.raises(DataError, match=rf"x \({codec}\) cannot be unpacked"):
        compressed.read_unpacked(file)


def test_other_files(tmp_path):
    (tmp_path / "x").write_bytes(b"plain")
    assert compressed.read_unpacked(tmp_path / "x") == b"plain"
    with pytest.raises(DataError, match="neither gzip nor xz"):
        compressed.open_compressed(tmp_path / "x")
    for read in (compressed.open_compressed, compressed.read_unpacked):
        with pytest.raises(InputError, match="cannot be read"):
            read(tmp_path / "nothing")


def test_xz_that_asks_for_much_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(compressed, "XZ_MEMORY", 1 << 16)
    (tmp_path / "x").write_bytes(lzma.compress(bytes(1 << 20)))
    with pytest.raises(DataError, match="cannot be unpacked: Memory usage limit"):
        compressed.read_unpacked(tmp_path / "x")
