import struct

import numpy as np
import pytest

from gluonface._compat import mx
from gluonface.errors import DataError, InputError
from gluonface.weights.mxnet_params import params_bytes, read_params, split_params

ARRAYS = {
    "arg:weight": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    "arg:half": np.array([1.5, -2], np.float16),
    "arg:count": np.array([[7]], np.int64),
    "aux:mean": np.array([0.25], np.float64),
}


def same(a, b):
    assert list(a) == list(b)
    for name in a:
        assert a[name].dtype == b[name].dtype
        np.testing.assert_array_equal(a[name], b[name])


def test_reads_what_mxnet_writes(tmp_path):
    path = tmp_path / "a.params"
    mx.nd.save(str(path), {k: mx.nd.array(v, dtype=v.dtype) for k, v in ARRAYS.items()})
    same(read_params(path), ARRAYS)


def test_mxnet_reads_what_we_write(tmp_path):
    path = tmp_path / "a.params"
    path.write_bytes(params_bytes(ARRAYS))
    same({k: v.asnumpy() for k, v in mx.nd.load(str(path)).items()}, ARRAYS)


def test_reads_the_layouts_of_older_releases(tmp_path):
    values = np.array([1, 2, 3], np.float32)
    device = struct.pack("<iii", 1, 0, 0)
    first = struct.pack("<IIq", 0xF993FAC8, 1, 3) + device + values.tobytes()  # MXNet 0.11
    oldest = struct.pack("<II", 1, 3) + device + values.tobytes()
    for body in (first, oldest):
        path = tmp_path / "old.params"
        path.write_bytes(struct.pack("<QQQ", 0x112, 0, 1) + body + struct.pack("<QQ", 1, 1) + b"x")
        same(read_params(path), {"x": values})
        same({k: v.asnumpy() for k, v in mx.nd.load(str(path)).items()}, {"x": values})


def test_cut_anywhere_is_an_error(tmp_path):
    path, whole = tmp_path / "a.params", params_bytes(ARRAYS)
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        with pytest.raises(DataError):
            read_params(path)


def test_flipped_bytes_never_pass_unseen_or_crash(tmp_path):
    path, whole = tmp_path / "a.params", bytearray(params_bytes(ARRAYS))
    for at in range(24, 56):  # the head of the first array
        broken = bytearray(whole)
        broken[at] ^= 0xFF
        path.write_bytes(broken)
        try:
            arrays = read_params(path)
        except DataError:
            continue
        assert at >= 44 or list(arrays) == list(ARRAYS)


@pytest.mark.parametrize("content", [b"x", b"\x80\x02}q\x00.", b"PK\x03\x04" * 20, bytes(64)])
def test_other_files_are_named(tmp_path, content):
    path = tmp_path / "other.params"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"other\.params is not an MXNet parameter file"):
        read_params(path)


def test_absent(tmp_path):
    with pytest.raises(InputError, match=r"none\.params cannot be read: No such file"):
        read_params(tmp_path / "none.params")


def test_split():
    args, auxs = split_params({"arg:a": 1, "aux:b": 2, "c": 3, "arg:d:e": 4})
    assert args == {"a": 1, "c": 3, "d:e": 4}
    assert auxs == {"b": 2}


def header(*dims, ndim=None, name=b"a", flag=0, numbers=bytes(8), after=b""):
    """A file of one array, whatever is said of it."""
    shape = struct.pack(f"<{len(dims)}q", *dims)
    array = struct.pack("<Iii", 0xF993FAC9, 0, len(dims) if ndim is None else ndim) + shape
    array += struct.pack("<iii", 1, 0, flag) + numbers
    names = struct.pack("<QQ", 1, len(name)) + name
    return struct.pack("<QQQ", 0x112, 0, 1) + array + names + after


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (header(1 << 40, 1 << 40), "more bytes were expected"),
        (header(1 << 62), "the shape"),
        (header(-2), "the shape"),
        (header(2, ndim=1 << 30), "an array of 1073741824 dimensions"),
        (header(*[1] * 9), "an array of 9 dimensions"),
        (header(2, ndim=-1), "an array of -1 dimensions"),
        (header(2, flag=99), "the unknown type 99"),
        (header(2, name=b"\xff"), r"the name b'\\xff'"),
        (header(2, name=b"\x1b[31m"), "the name"),
        (header(2, name=b"n" * 5000), "a name of 5000 bytes"),
        (header(2, after=b"more"), "4 bytes after its end"),
    ],
)
def test_numbers_of_the_file(tmp_path, content, message):
    path = tmp_path / "a.params"
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"a\.params is not a whole.*{message}"):
        read_params(path)


def test_the_files_above_are_right_but_for_that(tmp_path):
    path = tmp_path / "a.params"
    path.write_bytes(header(2))
    assert read_params(path)["a"].tolist() == [0, 0]
