"""Arrays of users' files, or an error that names the file."""

import numpy as np
import pytest

from gluonface.data.arrays import load_arrays
from gluonface.errors import DataError, InputError


def test_one_array_and_several(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(3))
    np.savez(tmp_path / "b.npz", x=np.arange(3), y=np.ones(2))
    np.testing.assert_array_equal(load_arrays(tmp_path / "a.npy"), np.arange(3))
    assert isinstance(load_arrays(tmp_path / "a.npy", mapped=True), np.memmap)
    assert sorted(load_arrays(tmp_path / "b.npz", mapped=True)) == ["x", "y"]


@pytest.mark.parametrize("content", [b"", b"no array", b"\x93NUMPY\x01\x00\xff\xff{"])
def test_what_is_no_array(tmp_path, content):
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.npy cannot be read"):
        load_arrays(tmp_path / "a.npy")


def test_pickles_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(DataError, match=r"a\.npy cannot be read"):
        load_arrays(tmp_path / "a.npy")
    with pytest.raises(InputError, match="there is no file"):
        load_arrays(tmp_path / "b.npy")
