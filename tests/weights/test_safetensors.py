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
    for prefix in ("", "module.", "module._orig_mod."):
        path.write_bytes(content({prefix + name: array for name, array in ARRAYS.items()}))
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
        ({"dtype": ["F32"]}, r"unknown type \['F32'\]"),
        ({"shape": [7]}, r"'a\.weight' of shape \(7,\)"),
        ({"shape": [-1]}, r"of shape \(-1,\)"),
        ({"data_offsets": [0, 1 << 40]}, "bytes"),
        ({"data_offsets": [0]}, "'a.weight' is not whole"),
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
