"""LMDB files against the library itself."""

import struct

import numpy as np
import pytest
from face_forms import write_lmdb

from gluonface.data.formats.lmdb_pages import LmdbPages
from gluonface.errors import DataError, InputError

lmdb = pytest.importorskip("lmdb")


def entries(count, seed=0):
    random = np.random.Generator(np.random.PCG64(seed))
    return {
        str(n).encode() * (1 + n % 3): random.bytes(int(random.integers(0, 9000)))
        for n in range(count)
    }


@pytest.mark.parametrize("count", [0, 1, 7, 700])
@pytest.mark.parametrize("folder", [False, True])
def test_every_entry(count, folder, tmp_path):
    wanted = entries(count)
    path = write_lmdb(tmp_path / "x", wanted, folder)
    pages = LmdbPages(path)
    assert pages.keys.tolist() == sorted(wanted)
    assert [pages.value(i) for i in range(len(pages))] == [wanted[k] for k in sorted(wanted)]
    assert pages.find(b"nothing") is None
    if count:
        assert pages.value(pages.find(b"0")) == wanted[b"0"]


def test_changed_and_deleted_entries(tmp_path):
    wanted = entries(300)
    path = write_lmdb(tmp_path / "x", wanted)
    environment = lmdb.open(str(path), subdir=False, map_size=1 << 24)
    for number in range(0, 300, 3):  # the two meta pages take turns
        with environment.begin(write=True) as transaction:
            key = str(number).encode() * (1 + number % 3)
            transaction.delete(key)
            wanted.pop(key)
            transaction.put(b"new", b"%d" % number)
            wanted[b"new"] = b"%d" % number
    environment.close()
    pages = LmdbPages(path)
    assert {k: pages.value(i) for i, k in enumerate(pages.keys.tolist())} == wanted


def test_bytes_at_many_places(tmp_path):
    pages = LmdbPages(write_lmdb(tmp_path / "x", {b"a": b"0123", b"b": b"4567"}))
    with pages.bytes_at() as read:
        assert [row.tobytes() for row in read(pages.offsets, 3)] == [b"012", b"456"]
        outside = np.array([pages.file.size - 1, pages.file.size + 5])
        assert read(outside, 3)[1].tolist() == [0, 0, 0]


def damaged(path, offset, data):
    whole = bytearray(path.read_bytes())
    whole[offset : offset + len(data)] = data
    path.write_bytes(whole)
    return path


def test_versions_and_cut_files(tmp_path):
    path = write_lmdb(tmp_path / "x", entries(100))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="LMDB database that was cut short"):
        LmdbPages(path)
    path.write_bytes(whole)
    for page in (0, 4096):
        damaged(path, page + 20, struct.pack("<I", 2))
    with pytest.raises(DataError, match="is an LMDB database of version 2; version 1"):
        LmdbPages(path)
    with pytest.raises(DataError, match="its first page is no meta page"):
        LmdbPages(damaged(path, 16, b"xxxx"))
    with pytest.raises(InputError, match="cannot be read"):
        LmdbPages(tmp_path / "nothing")


def test_several_databases(tmp_path):
    environment = lmdb.open(str(tmp_path / "x"), subdir=False, max_dbs=2)
    with environment.begin(write=True) as transaction:
        transaction.put(b"k", b"v", db=environment.open_db(b"inner", transaction))
    environment.close()
    with pytest.raises(InputError, match="an LMDB database of databases"):
        LmdbPages(tmp_path / "x")
