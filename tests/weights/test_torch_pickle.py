"""PyTorch's files, without PyTorch: files made by hand here, and those of the reference."""

import dataclasses
import hashlib
import importlib
import os
import pathlib
import shutil
import subprocess

import numpy as np
import pytest
import torch_files
from torch_files import ARRAYS, Written, checkpoint, write_legacy, write_zip

from gluonface._compat import mx
from gluonface.errors import DataError, InputError
from gluonface.model_zoo import BACKBONES, get_model
from gluonface.model_zoo.iresnet import IResNet
from gluonface.weights import load_weights
from gluonface.weights.torch_pickle import read_torch


@pytest.fixture
def torch():
    """Names for the pickles; the reader must work without them."""
    with torch_files.stand_in():
        yield


@pytest.mark.parametrize("write", [write_zip, write_legacy])
def test_reads_what_was_written(torch, tmp_path, write):
    content = {key: Written(array) for key, array in ARRAYS.items()}
    for value in (
        content,
        {"state_dict": content, "epoch": 3},
        {"module." + key: item for key, item in content.items()},
        {"model": {"module._orig_mod." + key: item for key, item in content.items()}},
        checkpoint(content),
    ):
        read = read_torch(write(tmp_path / "a.pth", value))
        assert list(read) == list(ARRAYS)
        for key, array in ARRAYS.items():
            assert read[key].dtype == array.dtype
            np.testing.assert_array_equal(read[key], array)


def test_views(torch, tmp_path):
    row = np.arange(12, dtype="f4")
    path = write_zip(tmp_path / "a.pt", {"t": Written(row, 1, (3, 2), (1, 4))})
    np.testing.assert_array_equal(
        read_torch(path)["t"], row[1:].reshape(-1)[[[0, 4], [1, 5], [2, 6]]]
    )


@pytest.mark.parametrize(
    ("offset", "shape", "strides"),
    [
        (0, (13,), (1,)),
        (9, (4,), (1,)),
        (0, (4, 4), (3, 1)),
        (0, (100, 100), (0, 0)),
        (0, (2,), (99,)),
    ],
)
def test_no_view_beyond_its_numbers(torch, tmp_path, offset, shape, strides):
    tensor = Written(np.arange(12, dtype="f4"), offset, shape, strides)
    with pytest.raises(DataError, match="only 12 numbers"):
        read_torch(write_zip(tmp_path / "a.pth", {"t": tensor}))


def test_negative_strides(torch, tmp_path):
    tensor = Written(np.arange(12, dtype="f4"), 11, (3,), (-1,))
    with pytest.raises(DataError, match="impossible shape"):
        read_torch(write_zip(tmp_path / "a.pth", {"t": tensor}))


class Evil:
    """Pickled, a call of `function`."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("write", [write_zip, write_legacy])
@pytest.mark.parametrize(
    "call",
    [
        (exec, "open({!r}, 'w')"),
        (os.system, "touch {}"),
        (importlib.import_module, "this"),
        (getattr, "text", "upper"),
        (subprocess.call, ["touch", "{}"]),
        (shutil.rmtree, "{}"),
        (np.load, "{}"),
        (pathlib.Path.unlink, pathlib.PurePosixPath("{}")),
    ],
    ids=lambda call: f"{call[0].__module__}.{call[0].__name__}",
)
def test_runs_nothing(torch, tmp_path, write, call):
    made = tmp_path / "made"
    function, *arguments = call
    arguments = [a.format(str(made)) if isinstance(a, str) else a for a in arguments]
    evil = Evil(function, *arguments)
    content = {"t": Written(ARRAYS["b"])}
    for value in ({**content, "evil": evil}, {**checkpoint(content), "hook": [evil]}):
        path = write(tmp_path / "a.pth", value)
        with pytest.raises(DataError, match=r"it asks to run \S+\.\w+, which no file of weights"):
            read_torch(path)
        assert not made.exists()


def test_changes_nothing(torch, tmp_path):
    """A BUILD may set attributes of the dicts that stand for PyTorch's, which forget them."""
    opcodes = (  # torch._utils._rebuild_tensor_v2.__dict__.update(...)
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n}X\x04\0\0\0evilX\x01\0\0\0xsb."
    )
    path = write_zip(tmp_path / "a.pth", {}, {"data.pkl": opcodes})
    with pytest.raises(DataError, match="it asks to change a "):
        read_torch(path)


def test_broken_files(torch, tmp_path):
    content = {"t": Written(ARRAYS["b"])}
    with pytest.raises(InputError, match="cannot be read: No such file"):
        read_torch(tmp_path / "none.pth")
    for change, message in (
        ({"data/0": b"x" * 23}, "23 bytes; 24 were expected"),
        ({"data/0": None}, "nothing; 24"),
        ({"byteorder": b"big"}, "big-endian"),
        ({"data.pkl": b"\x80\x02N."}, "no dict of tensors"),
        ({"data.pkl": b"garbage"}, "no whole pickle"),
        ({"data.pkl": None}, "0 files"),
    ):
        with pytest.raises(DataError, match=message):
            read_torch(write_zip(tmp_path / "a.pth", content, change))
    for write in (write_zip, write_legacy):
        whole = write(tmp_path / "b.pth", content).read_bytes()
        for length in (*range(0, len(whole) - 1, 7), len(whole) - 1):
            (tmp_path / "b.pth").write_bytes(whole[:length])
            with pytest.raises(DataError, match=r"b\.pth"):
                read_torch(tmp_path / "b.pth")


def narrow(units, widths, **changes):
    cfg = dataclasses.replace(BACKBONES.get("iresnet18")[0], embedding_size=64, **changes)
    net = IResNet(cfg, units, widths)
    net.initialize()
    return net


@pytest.fixture
def reference(shared):
    folder = shared / "reference/weights"
    with np.load(folder / "expected.npz", allow_pickle=False) as file:
        return folder, dict(file)


@pytest.mark.parametrize(
    ("file", "key", "units", "widths", "scale"),
    [
        (
            "arcface_torch_iresnet1111_64_fp16.pth",
            "arcface_torch_iresnet1111_64_fp16",
            (1, 1, 1, 1),
            (64, 64, 128, 256, 512),
            1 / 127.5,
        ),
        (
            "insightface_mxnet_resnet",
            "insightface_mxnet_resnet",
            (2, 2, 2, 2),
            (8, 8, 16, 32, 64),
            1 / 128,
        ),
    ],
)
def test_embeddings_of_the_reference(reference, file, key, units, widths, scale):
    folder, expected = reference
    net = narrow(units, widths, scale=scale)
    files = load_weights(net, folder / file)
    assert all(len(digest) == 64 for digest in files.values())
    images = expected["images"].transpose(0, 3, 1, 2).astype("float32")
    for suffix, x in (("", images), ("__flip", images[..., ::-1])):
        y = net(mx.nd.array(x)).asnumpy()
        # Both are float32; their README measures 1.1e-5 between two orders of summation.
        np.testing.assert_allclose(y, expected[key + suffix], rtol=0, atol=1e-4)


MOBILE = (
    ("mbf", "arcface_torch_mbf"),
    ("mbf", "arcface_torch_mbf_legacy"),
    ("mobilefacenet_se", "cavaface_mobilefacenet_se"),
    ("mobilefacenet_se", "cavaface_mobilefacenet_se_module_fp16"),
)


@pytest.mark.parametrize(("model", "key"), [row for row in MOBILE if row[0] in BACKBONES])
def test_embeddings_of_the_reference_mobile(reference, model, key):
    folder, expected = reference
    net = get_model(model, scale=1 / 127.5)
    load_weights(net, folder / f"{key}.pth")
    images = expected["images"].transpose(0, 3, 1, 2).astype("float32")
    for suffix, x in (("", images), ("__flip", images[..., ::-1])):
        y = net(mx.nd.array(x)).asnumpy()
        want = expected[key.replace("_legacy", "") + suffix]
        np.testing.assert_allclose(y, want, rtol=0, atol=1e-4)


def test_embeddings_of_real_faces(shared, reference):
    """Three crops of people, of which the reference holds embeddings only."""
    from gluonface.data import VerificationPack

    folder, _ = reference
    with np.load(folder / "expected_lfw.npz", allow_pickle=False) as file:
        expected = dict(file)
    pack = VerificationPack.load(shared / "data/lfw_small.bin")
    faces = np.stack([pack.image(int(i)) for i in expected["index"]])
    digests = [hashlib.sha256(np.ascontiguousarray(face).tobytes()).hexdigest() for face in faces]
    if digests != [str(digest) for digest in expected["pixels_sha256"]]:
        pytest.skip("this machine decodes the JPEGs otherwise")
    x = faces.transpose(0, 3, 1, 2).astype("float32")
    rows = [(m, f"{k}.pth", k.replace("_legacy", "")) for m, k in MOBILE]
    for model, name, key in (*rows, ("mbf", "arcface_torch_mbf.onnx", "arcface_torch_mbf_onnx")):
        if name.endswith(".onnx"):
            pytest.importorskip("onnx", reason="needs the extra gluonface[onnx]")
        net = get_model(model, scale=1 / 127.5)
        load_weights(net, folder / name)
        for suffix, view in (("", x), ("__flip", x[..., ::-1])):
            y = net(mx.nd.array(view)).asnumpy()
            np.testing.assert_allclose(y, expected[key + suffix], rtol=0, atol=1e-4)


def test_wrong_network(reference, tmp_path):
    path = reference[0] / "arcface_torch_iresnet1111_64_fp16.pth"
    with pytest.raises(InputError, match=r"scale=0\.00784313"):
        load_weights(narrow((1, 1, 1, 1), (64, 64, 128, 256, 512)), path)
    with pytest.raises(DataError, match=r"missing: stages\.0\.1\.bn1\.beta"):
        load_weights(narrow((2, 1, 1, 1), (64, 64, 128, 256, 512), scale=1 / 127.5), path)
    with pytest.raises(DataError, match=r"shape \(64, 3, 3, 3\)"):
        load_weights(narrow((1, 1, 1, 1), (8, 8, 16, 32, 64), scale=1 / 127.5), path)
    with pytest.raises(DataError, match=r"not in the model: bn1\.bias"):
        load_weights(get_model("mobilefacenet", scale=1 / 127.5), path)
    with pytest.raises(InputError, match="not se_resnet18_v2"):
        load_weights(get_model("se_resnet18_v2"), path)


def test_containers_of_the_reference(shared):
    folder = shared / "reference/weights"
    new, old = (read_torch(folder / f"arcface_torch_mbf{kind}.pth") for kind in ("", "_legacy"))
    assert list(new) == list(old)
    assert len(new) == 333
    for key, array in new.items():
        assert array.dtype == old[key].dtype
        np.testing.assert_array_equal(array, old[key])
    wide = read_torch(folder / "cavaface_mobilefacenet_se.pth")
    half = read_torch(folder / "cavaface_mobilefacenet_se_module_fp16.pth")  # as of DataParallel
    assert list(wide) == list(half)
    assert len(wide) == 393
    for key, array in wide.items():
        rounded = array.astype("f2") if array.dtype == np.float32 else array
        assert half[key].dtype == rounded.dtype
        np.testing.assert_array_equal(half[key], rounded)
