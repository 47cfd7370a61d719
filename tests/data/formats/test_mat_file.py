"""MATLAB's files as SciPy writes them, and what no reader of ours takes for one."""

import struct
import zlib

import numpy as np
import pytest
import scipy.io

from gluonface.data.formats.mat_file import flat_texts, read_mat
from gluonface.errors import DataError, InputError


def saved(tmp_path, compress=True, **variables):
    scipy.io.savemat(tmp_path / "x.mat", variables, do_compression=compress)
    return (tmp_path / "x.mat").read_bytes()


def cell(*items):
    result = np.empty((len(items), 1), object)
    for place, item in enumerate(items):
        result[place, 0] = item
    return result


@pytest.mark.parametrize("compress", [True, False])
def test_values_are_those_that_scipy_reads(tmp_path, compress):
    data = saved(
        tmp_path,
        compress,
        ids=np.array([[3], [12]], np.uint16),
        floats=np.arange(6.0).reshape(2, 3),
        small=np.array([[-1, 1]], np.int8),
        names=cell("12_1.jpg", "Ö_2.jpg", ""),
        rows=np.array(["ab ", "cde"]),
        nested=cell({"name": "a", "age": 3.0}, cell("b")),
    )
    found = read_mat(data, "x.mat")
    theirs = scipy.io.loadmat(tmp_path / "x.mat")
    for name in ("ids", "floats", "small"):
        np.testing.assert_array_equal(found[name], theirs[name])
    assert flat_texts(found["names"], "names") == ["12_1.jpg", "Ö_2.jpg", ""]
    assert flat_texts(found["rows"], "rows") == ["ab", "cde"]
    ((structure,), (inner,)) = found["nested"].tolist()
    assert structure.ravel()[0][0] == "a"
    assert structure.ravel()[0][1].tolist() == [[3.0]]
    assert flat_texts(inner, "inner") == ["b"]


def test_big_endian(tmp_path):
    head = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x01\x00MI"
    body = struct.pack(">IIII", 6, 8, 6, 0) + struct.pack(">IIii", 5, 8, 1, 2)
    body += struct.pack(">II", 1, 1) + b"x".ljust(8, b"\0") + struct.pack(">IIdd", 9, 16, 3, 4)
    data = head + struct.pack(">II", 14, len(body)) + body
    np.testing.assert_array_equal(read_mat(data, "x")["x"], [[3, 4]])


def test_other_versions():
    for head in (b"MATLAB 7.3 MAT-file", b"\x89HDF\r\n\x1a\n"):
        with pytest.raises(InputError, match=r"x is a MATLAB 7\.3 file; save it with -v7"):
            read_mat(head.ljust(512), "x")
    for data in (b"", b"MATLAB 5.0", bytes(300)):
        with pytest.raises(DataError, match="x is no MATLAB file"):
            read_mat(data, "x")


def test_cut_at_every_place(tmp_path):
    for compress in (True, False):
        data = saved(tmp_path, compress, names=cell("a", "b"), ids=np.arange(3))
        for length in range(129, len(data), 3):
            try:
                read_mat(data[:length], "x")
            except DataError:
                continue
            assert length in range(130, len(data))  # a whole variable may end there


def test_more_values_than_bytes_are_refused():
    body = struct.pack("<IIII", 6, 8, 1, 0) + struct.pack("<IIii", 5, 8, 1 << 30, 1)
    body += struct.pack("<II", 1, 0)
    data = b"MATLAB 5.0".ljust(126) + b"IM" + struct.pack("<II", 14, len(body)) + body
    with pytest.raises(DataError, match="says that it holds 1073741824 values"):
        read_mat(data, "x")


def test_bombs_are_refused():
    packed = zlib.compress(bytes(300 << 20), 1)
    data = b"MATLAB 5.0".ljust(126) + b"IM" + struct.pack("<II", 15, len(packed)) + packed
    with pytest.raises(DataError, match="unpacks to more than"):
        read_mat(data, "x")


def test_other_things_than_texts():
    with pytest.raises(DataError, match="what holds something else"):
        flat_texts(np.ones(3), "what")
