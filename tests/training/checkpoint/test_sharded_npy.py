import numpy as np
import pytest

from gluonface.errors import DataError, TrainingError
from gluonface.files import sha256
from gluonface.training.checkpoint import sharded_npy


@pytest.fixture
def small(monkeypatch):
    """Blocks of 10 classes and pieces of 3 rows, so that small arrays cross their borders."""
    monkeypatch.setattr(sharded_npy, "BLOCK", 10)
    monkeypatch.setattr(sharded_npy, "SLICE_BYTES", 3 * 4 * 4)


def store(folder, rows, ranges):
    sharded_npy.create(folder, "w", len(rows), rows.shape[1:], rows.dtype)
    for start, stop in ranges:
        sharded_npy.write(folder, "w", len(rows), start, rows[start:stop])


@pytest.mark.parametrize("shape", [(37, 4), (37,), (10, 4), (1, 4)])
@pytest.mark.parametrize("dtype", ["float32", "int32"])
def test_any_ranks_write_and_any_read(small, tmp_path, shape, dtype):
    rows = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    n = len(rows)
    store(tmp_path, rows, [(0, n // 3), (n // 3, n // 2), (n // 2, n), (n, n)])
    for start, stop in ((0, n), (n // 2, n), (3, 4), (n, n)):
        found = list(sharded_npy.read(tmp_path, "w", n, start, stop))
        assert all(len(piece) <= 3 or len(shape) == 1 for _, piece in found)
        assert [first for first, _ in found] == sorted(first for first, _ in found)
        got = np.concatenate([piece for _, piece in found]) if found else rows[:0]
        np.testing.assert_array_equal(got, rows[start:stop])
    ids = np.array([0, n - 1, n // 2, 0])
    np.testing.assert_array_equal(sharded_npy.RowReader(tmp_path, "w", n).take(ids), rows[ids])


def test_the_files_are_plain_npy_whatever_the_ranks(small, tmp_path):
    rows = np.random.default_rng(0).normal(size=(23, 4)).astype("f")
    sums = []
    for name, ranges in (("one", [(0, 23)]), ("three", [(0, 8), (8, 16), (16, 23)])):
        (tmp_path / name).mkdir()
        store(tmp_path / name, rows, ranges)
        files = sorted((tmp_path / name).iterdir())
        assert [file.name for file in files] == [
            "w-000000000.npy", "w-000000010.npy", "w-000000020.npy",
        ]  # fmt: skip
        np.testing.assert_array_equal(np.concatenate([np.load(file) for file in files]), rows)
        sums.append([sha256(file) for file in files])
    assert sums[0] == sums[1]


def test_numbers_that_are_none_are_refused_and_named(small, tmp_path):
    rows = np.ones((23, 4), "f")
    rows[17, 2] = np.inf
    with pytest.raises(TrainingError, match="w of class 17 is not finite"):
        store(tmp_path, rows, [(0, 8), (8, 23)])


def test_damage_is_found(small, tmp_path):
    rows = np.ones((23, 4), "f")
    store(tmp_path, rows, [(0, 23)])
    files = {path.name: {"sha256": sha256(path)} for path in tmp_path.iterdir()}
    path = tmp_path / "w-000000010.npy"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    list(sharded_npy.read(tmp_path, "w", 23, 0, 10, files))  # another file
    for broken, words in ((data, "SHA-256"), (data[:-4], "SHA-256")):
        path.write_bytes(broken)
        with pytest.raises(DataError, match=words):
            list(sharded_npy.read(tmp_path, "w", 23, 5, 15, files))
    with pytest.raises(DataError, match="cannot be read"):  # cut short, and nobody knows the sum
        list(sharded_npy.read(tmp_path, "w", 23, 5, 15))
    path.unlink()
    with pytest.raises(DataError, match="cannot be read"):
        list(sharded_npy.read(tmp_path, "w", 23, 5, 15, files))
