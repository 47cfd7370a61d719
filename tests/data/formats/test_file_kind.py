"""Files are recognised by their first bytes, whatever their names."""

import gzip
import io
import lzma
import pickle
import struct
import tarfile
import zipfile

import pytest
from record_files import png

from gluonface.data.formats.crc32c import masked_crc32c
from gluonface.data.formats.file_kind import FileKind, recognise_bytes, recognise_file
from gluonface.errors import DataError, InputError


def tar(form=tarfile.GNU_FORMAT):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form) as archive:
        member = tarfile.TarInfo("a/1.png")
        member.size = 4
        archive.addfile(member, io.BytesIO(b"data"))
    return stream.getvalue()


def v7_tar():
    block = bytearray(tar())
    block[257:265] = bytes(8)
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block[:512])
    return bytes(block)


def zipped(name):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(name, b"data")
    return stream.getvalue()


def tfrecord(length=9, wrong=0):
    head = struct.pack("<Q", length)
    return head + struct.pack("<I", masked_crc32c(head) ^ wrong) + b"\x0a" + bytes(length + 3)


LMDB = bytes(16) + b"\xde\xc0\xef\xbe\x01\0\0\0"
KINDS = [
    (zipped("a/1.png"), "zip", None),
    (zipped("archive/data.pkl"), "torch", None),
    (zipped("x.npy"), "npz", None),
    (tar(), "tar", None),
    (tar(tarfile.PAX_FORMAT), "tar", None),
    (v7_tar(), "tar", None),
    (gzip.compress(tar(), mtime=0), "tar", "gzip"),
    (lzma.compress(pickle.dumps([1], 4)), "pickle", "xz"),
    (b"PAR1" + bytes(9), "parquet", None),
    (b"ARROW1\0\0", "arrow", None),
    (b"\xff\xff\xff\xff\x98\x01\0\0", "arrow stream", None),
    (LMDB, "lmdb", None),
    (b"\x0a\x23\xd7\xce", "recordio", None),
    (b"MATLAB 5.0 MAT-file", "mat", None),
    (b"\x93NUMPY\x01\0", "npy", None),
    (pickle.dumps([b"x"], 2), "pickle", None),
    (b"\x80\x04\x95cpandas.core.frame", "pandas pickle", None),
    (tfrecord(), "tfrecord", None),
    (tfrecord(wrong=1), "tfrecord", None),  # its reader names the wrong sum
    (png(), "image", None),
    (b"a/1.jpg 7\n", "text", None),
    (b"\xef\xbb\xbfpath,label\r\n", "text", None),
    ("ü" * 5000 + " 7\n", "text", None),
    (b"\x01\x02\0\0", "binary", None),
    (b"", "empty", None),
]


@pytest.mark.parametrize(("data", "form", "compression"), KINDS, ids=lambda value: str(value)[:20])
def test_kinds(data, form, compression, tmp_path):
    data = data.encode() if isinstance(data, str) else data
    (tmp_path / "x.txt").write_bytes(data)
    kind = recognise_file(tmp_path / "x.txt")
    assert kind == FileKind(form, compression)
    assert (compression or "") in kind.title
    if compression is None:
        assert recognise_bytes(data, len(data)) == form


def test_what_a_download_left(tmp_path):
    (tmp_path / "x.zip").write_text("<!DOCTYPE html><html>")
    with pytest.raises(DataError, match="a web page"):
        recognise_file(tmp_path / "x.zip")
    with pytest.raises(InputError, match="cannot be read"):
        recognise_file(tmp_path / "y")
