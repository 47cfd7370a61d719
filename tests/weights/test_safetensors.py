import json
import struct

import numpy as np
import pytest

from gluonface._compat import mx
from gluonface.errors import DataError, InputError
from gluonface.model_zoo import get_model
from gluonface.weights import load_weights
from gluonface.weights.safetensors import read_safetensors
from gluonface.weights.torch_pickle import read_torch

ARRAYS = {
    "a.weight": np.arange(24, dtype="f4").reshape(2, 3, 4),
    "a.half": np.array([0.5, -2, 1e-3], "f2"),
    "count": np.array(7, "i8"),
}
NAMES = {"<f4": "F32", "<f2": "F16", "<i8": "I64"}


def content(arrays, change=None):
    header, numbers = {"__metadata__": {"format": "pt"}}, b""
    for name, array in arrays.items():
        raw = array.tobytes()
        place = [len(numbers), len(numbers) + len(raw)]
        entry = {"dtype": NAMES[array.dtype.str], "shape": list(array.shape), "data_offsets": place}
        header[name] = {**entry, **(change or {})}
        numbers += raw
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + numbers


def test_reads_what_was_written(tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes(content(ARRAYS))
    read = read_safetensors(path)
    assert list(read) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert read[name].dtype == array.dtype
        np.testing.assert_array_equal(read[name], array)


def test_bfloat16(tmp_path):
    values = np.array([1.5, -3.0, 2.0**100], "f4")  # all of them have few digits
    upper = (values.view("u4") >> 16).astype("<u2").tobytes()
    entry = {"x": {"dtype": "BF16", "shape": [3], "data_offsets": [0, 6]}}
    text = json.dumps(entry).encode()
    (tmp_path / "a.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + upper)
    np.testing.assert_array_equal(read_safetensors(tmp_path / "a.safetensors")["x"], values)


def test_broken_files(tmp_path):
    path = tmp_path / "a.safetensors"
    with pytest.raises(InputError, match="cannot be read: No such file"):
        read_safetensors(path)
    whole = content(ARRAYS)
    for length in (*range(0, len(whole) - 1, 5), len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match=r"a\.safetensors"):
            read_safetensors(path)
    for change, message in (
        ({"dtype": "F4"}, "unknown type 'F4'"),
        ({"dtype": ["F32"]}, "of the unknown type a list of 1"),
        ({"dtype": None}, "unknown type None"),
        ({"shape": [7]}, r"'a\.weight' of shape \(7,\)"),
        ({"shape": [-1]}, "impossible shape"),
        ({"shape": [True, 24]}, "impossible shape"),
        ({"shape": [1] * 9}, "impossible shape"),
        ({"shape": [1 << 60, 1 << 60]}, "impossible shape"),
        ({"shape": "24"}, "impossible shape"),
        ({"data_offsets": [0, 1 << 40]}, "is said to lie at 0 to 1099511627776"),
        ({"data_offsets": [0]}, "'a.weight' has no place in the file"),
        ({"data_offsets": [96, 0]}, "is said to lie at 96 to 0"),
        ({"data_offsets": [0.0, 96]}, "has no place in the file"),
        ({"more": 1}, "'a.weight' is not whole"),
    ):
        path.write_bytes(content(ARRAYS, change))
        with pytest.raises(DataError, match=message):
            read_safetensors(path)
    for garbage in (b"\x80\x02}q\0.", struct.pack("<Q", 2) + b"[]", struct.pack("<Q", 1 << 60)):
        path.write_bytes(garbage)
        with pytest.raises(DataError, match=r"a\.safetensors"):
            read_safetensors(path)


def test_the_same_network_as_from_pytorch(shared, tmp_path):
    torch = shared / "reference/weights/cavaface_mobilefacenet_se_module_fp16.pth"
    path = tmp_path / "a.safetensors"
    path.write_bytes(content(read_torch(torch)))
    nets = [get_model("mobilefacenet_se", scale=1 / 127.5) for _ in range(2)]
    for net, source in zip(nets, (torch, path)):
        load_weights(net, source)
    x = mx.nd.random.uniform(0, 255, (1, 3, 112, 112))
    np.testing.assert_array_equal(nets[0](x).asnumpy(), nets[1](x).asnumpy())


def written(path, header, numbers, length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + numbers)
    return path


def entry(begin, end):
    return {"dtype": "U8", "shape": [end - begin], "data_offsets": [begin, end]}


@pytest.mark.parametrize(
    ("places", "size", "message"),
    [
        ([(0, 4), (2, 6)], 6, "at 2 to 6 overlaps the one before it"),
        ([(0, 6), (0, 6)], 6, "overlaps"),
        ([(0, 4), (6, 8)], 8, "at 6 to 8 leaves a gap after byte 4"),
        ([(2, 4)], 4, "leaves a gap after byte 0"),
        ([(0, 4)], 6, "its tensors take 4 bytes, the file has 6"),
        ([(0, 4), (4, 8)], 6, "its tensors take 8 bytes, the file has 6"),
        ([], 3, "its tensors take 0 bytes"),
    ],
)
def test_tensors_fill_the_file(tmp_path, places, size, message):
    header = {f"t{number}": entry(*place) for number, place in enumerate(places)}
    path = written(tmp_path / "a.safetensors", header, bytes(size))
    with pytest.raises(DataError, match=rf"a\.safetensors cannot be read.*{message}"):
        read_safetensors(path)


def test_the_order_of_the_header_is_free(tmp_path):
    header = {"b": entry(2, 4), "a": entry(0, 2), "none": entry(2, 2)}
    found = read_safetensors(written(tmp_path / "a.safetensors", header, b"1234"))
    assert {name: array.tobytes() for name, array in found.items()} == {
        "b": b"34",
        "a": b"12",
        "none": b"",
    }


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (b'{"a": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}, "a": {}}', "stands twice"),
        (b'{"a": {"dtype": "U8", "dtype": "F8", "shape": []}}', "stands twice"),
        (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deep"),
        (b'{"a": {"dtype": "U8", "shape": [' + b"9" * 5000 + b"]}}", "a number of 5000 digits"),
        (b'{"a": \xff}', "not JSON"),
        (b"[]", "its header is no dict"),
        (b"7", "its header is no dict"),
        (b'{"a": 7}', "'a' is not whole"),
        (b"<html>", "a web page"),
    ],
)
def test_headers(tmp_path, header, message):
    path = written(tmp_path / "a.safetensors", header, b"")
    with pytest.raises(DataError, match=rf"a\.safetensors cannot be read.*{message}"):
        read_safetensors(path)


def test_a_header_longer_than_the_file(tmp_path):
    for length in (1 << 63, 3, (1 << 64) - 1):
        path = written(tmp_path / "a.safetensors", {}, b"", length)
        with pytest.raises(DataError, match="its header is not whole"):
            read_safetensors(path)
