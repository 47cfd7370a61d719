"""PyTorch's files, without PyTorch: files made by hand here, and those of the reference."""

import argparse
import collections
import dataclasses
import datetime
import decimal
import hashlib
import importlib
import io
import os
import pathlib
import pickle
import re
import shutil
import subprocess
import sys
import types
import uuid
import warnings
import zipfile

import numpy as np
import pytest
import torch_files
from torch_files import (
    ARRAYS,
    Pickler,
    Storage,
    Written,
    checkpoint,
    write_legacy,
    write_zip,
)

from gluonface._compat import mx
from gluonface.errors import DataError, InputError
from gluonface.model_zoo import BACKBONES, get_model
from gluonface.model_zoo.iresnet import IResNet
from gluonface.weights import load_weights, open_weights
from gluonface.weights.source import FORMATS
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
        {"model": content},
        checkpoint(content),
    ):
        read = read_torch(write(tmp_path / "a.pth", value))
        read = {key.replace("module.", ""): array for key, array in read.items()}
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
    half = {name.removeprefix("module."): array for name, array in half.items()}
    assert list(wide) == list(half)
    assert len(wide) == 393
    for key, array in wide.items():
        rounded = array.astype("f2") if array.dtype == np.float32 else array
        assert half[key].dtype == rounded.dtype
        np.testing.assert_array_equal(half[key], rounded)


# --- what stands beside the tensors


class Named:
    """Pickled, a call of a name of a module that need not exist."""

    def __init__(self, module, name, *arguments, state=None):
        self.module, self.name, self.arguments, self.state = module, name, arguments, state


def spelt(named):
    """Return the operations that call a name, with a state: protocol 2."""
    call = f"c{named.module}\n{named.name}\n".encode()
    arguments = b"(" + b"".join(pickle.dumps(a, 2)[2:-1] for a in named.arguments) + b"tR"
    state = b"" if named.state is None else pickle.dumps(named.state, 2)[2:-1] + b"b"
    return call + arguments + state


def beside(tmp_path, operations, write=write_zip):
    """Write a state dict with `operations` under another key."""
    mark = "the place of the operations"
    path = write(tmp_path / "a.pth", {"t": Written(ARRAYS["b"]), "other": mark})
    raw = mark.encode()
    data = path.read_bytes()
    old = b"X" + len(raw).to_bytes(4, "little") + raw
    if write is write_legacy:
        path.write_bytes(data.replace(old, operations))
        return path
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["top/data.pkl"] = members["top/data.pkl"].replace(old, operations)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


HARMLESS = [
    collections.Counter(a=3),
    {1, 2},
    frozenset({"x"}),
    collections.OrderedDict(a=1),
    collections.defaultdict(list, a=[1]),
    collections.deque([1, 2], maxlen=3),
    np.float64(0.5),
    np.int64(7),
    np.bool_(True),
    np.dtype("f4"),
    np.arange(3),
    np.random.RandomState(0).get_state(),
    argparse.Namespace(lr=0.1, nested=argparse.Namespace(x={1})),
    types.SimpleNamespace(a=1),
    bytearray(b"12"),
    b"bytes",
    1j,
    slice(1, 2, 3),
    range(4),
    pathlib.PurePosixPath("a/b"),
    datetime.datetime(2020, 1, 1),
    decimal.Decimal("1.5"),
    uuid.UUID(int=5),
    10**300,
    float("nan"),
    None,
    ...,
]


@pytest.mark.parametrize("protocol", [1, 2, 4, 5])
@pytest.mark.parametrize("value", HARMLESS, ids=lambda value: type(value).__name__)
def test_harmless_things_raise_no_alarm(torch, tmp_path, value, protocol):
    buffer, keep = io.BytesIO(), {}
    content = {"first": value, "t": Written(ARRAYS["b"]), "last": [value]}
    Pickler(buffer, keep, protocol=protocol).dump(content)
    change = {"data.pkl": buffer.getvalue(), "data/0": keep["0"].tobytes()}
    path = write_zip(tmp_path / "a.pth", {}, change)
    np.testing.assert_array_equal(read_torch(path)["t"], ARRAYS["b"])


@pytest.mark.parametrize("write", [write_zip, write_legacy])
@pytest.mark.parametrize(
    "named",
    [
        Named("pytorch_lightning.callbacks.model_checkpoint", "ModelCheckpoint", state={"x": 1}),
        Named("omegaconf.dictconfig", "DictConfig", state={"_content": {"a": 1}}),
        Named("mypkg.config", "Config", "x", 3, state=({"a": 1}, {"b": 2})),
        Named("__main__", "Options", state={"lr": 0.1}),
        Named("torch", "device", "cuda:0"),
        Named("torch", "Size", [1, 2]),
        Named("torch.optim.sgd", "SGD", state={"defaults": {}}),
        Named("numpy.random._pickle", "__bit_generator_ctor", "MT19937"),
        Named("numpy.core.multiarray", "scalar", 1, b"12345678"),
        Named("functools", "partial", state={}),
        Named("copy_reg", "_reconstructor", 1, 2, None),
        Named("transformers.training_args", "TrainingArguments"),
    ],
    ids=lambda value: value.name if isinstance(value, Named) else value.__name__,
)
def test_classes_beside_the_tensors_are_inert(torch, tmp_path, write, named):
    before = set(sys.modules)
    path = beside(tmp_path, spelt(named), write)
    np.testing.assert_array_equal(read_torch(path)["t"], ARRAYS["b"])
    assert named.module in before or named.module not in sys.modules


@pytest.mark.parametrize(
    "name",
    [
        *("os.system", "posix.system", "nt.system", "os.popen", "os.execv", "os.remove"),
        *("subprocess.Popen", "subprocess.check_output", "_posixsubprocess.fork_exec"),
        *("builtins.eval", "builtins.exec", "builtins.compile", "builtins.open"),
        *("builtins.__import__", "builtins.getattr", "builtins.setattr", "builtins.globals"),
        *("__builtin__.eval", "__builtin__.apply", "__builtin__.execfile", "__builtin__.file"),
        *("sys.modules", "importlib.import_module", "runpy.run_path", "pty.spawn", "code.interact"),
        *("shutil.rmtree", "socket.create_connection", "webbrowser.open", "urllib.request.urlopen"),
        *("ctypes.CDLL", "pickle.loads", "marshal.loads", "types.FunctionType", "types.CodeType"),
        *("operator.attrgetter", "operator.methodcaller", "pip.main", "timeit.timeit"),
        *("commands.getoutput", "platform.popen", "tempfile.mktemp", "io.open", "io.FileIO"),
        *("numpy.load", "numpy.testing._private.utils.runstring", "numpy.f2py.os.system"),
        *("torch.load", "torch.hub.load", "torch.jit.load", "torch.utils.cpp_extension.load"),
        *("torch.serialization.load", "pathlib.Path.unlink", "pathlib.PosixPath.write_text"),
        *("collections.abc.sys.modules", "mypkg.os.system", "logging.os.popen"),
        *("mypkg.Config.__reduce__", "mypkg.Config.__class__.__subclasses__", "pdb.run"),
    ],
)
def test_hostile_names_are_named(torch, tmp_path, name):
    module, _, function = name.rpartition(".")
    message = rf"a\.pth cannot be read as PyTorch weights: it asks to run {re.escape(name)}, which"
    for write in (write_zip, write_legacy):
        path = beside(tmp_path, spelt(Named(module, function, "x")), write)
        with pytest.raises(DataError, match=message):
            read_torch(path)
    if len(name.split(".")) > 2:  # protocol 4 gives a qualified name
        first, _, rest = name.partition(".")
        words = [b"\x8c" + bytes([len(word)]) + word.encode() for word in (first, rest)]
        with pytest.raises(DataError, match=message):
            read_torch(beside(tmp_path, b"".join(words) + b"\x93"))


def test_what_ends_a_process(torch, tmp_path):
    deep = b")" + b"\x85" * 200_000  # a tuple in a tuple in a tuple
    for operations, message in (
        (b"}" + deep + b"Ns", "a dict with the key"),
        (b"(" + deep + b"Nd", "a dict with the key"),
        (b"ccollections\nOrderedDict\n](" + deep + b"N\x86e\x85R", "key|pairs"),
        (b"I" + b"9" * 100_000 + b"\n", "no whole pickle"),
        (b"\x8b\xff\xff\xff\x7f", "no whole pickle"),
        (b"\x96" + b"\xff" * 7 + b"\x7f", "no whole pickle"),
        (b"\x82\x01", "by a number of another program"),
        (b"\x97", "bytes outside the file"),
        (b"X\x01\0\0\0x(tR", "asks to call a str"),
        (b"X\x01\0\0\0x)\x81", "asks to call a str"),
    ):
        with pytest.raises(DataError, match=message):
            read_torch(beside(tmp_path, operations))
    # A set of such tuples is not made, a list of them is harmless.
    for operations in (b"\x8f(" + deep + b"\x90", b"](" + deep + b"e", deep):
        assert list(read_torch(beside(tmp_path, operations))) == ["t"]


def test_tensors_of_another_kind(torch, tmp_path):
    evil = spelt(Named("torch._utils", "_rebuild_sparse_tensor", 1, 2))
    path = beside(tmp_path, evil)
    with pytest.raises(
        DataError, match=r"'other' is of a kind that is not read, torch\._utils\._reb"
    ):
        read_torch(path)


@pytest.mark.parametrize(
    ("name", "floats"),
    [
        ("edgeface_xxs_q.pt", "edgeface_xxs.pt"),
        ("edgeface_xs_q.pt", "edgeface_xs_gamma_06.pt"),
        ("a.pth", "as it was before quantisation"),
    ],
)
def test_quantised_tensors(torch, tmp_path, monkeypatch, name, floats):
    """As EdgeFace's small files have them; the message names the file to take."""
    kind = type("QInt8Storage", (), {"__module__": "torch"})
    monkeypatch.setattr(sys.modules["torch"], "QInt8Storage", kind, raising=False)
    monkeypatch.setitem(torch_files.STORAGES, "i8", "QInt8Storage")
    path = write_zip(tmp_path / name, {"t": Written(np.zeros(3, "i8"))})
    with pytest.raises(DataError, match=rf"quantised.*take the file with floats, {floats}"):
        read_torch(path)


def test_a_whole_network_is_not_made(torch, tmp_path):
    operations = b"\x80\x02" + spelt(Named("mypkg.nets", "Net", state={"a": 1})) + b"."
    path = write_zip(tmp_path / "a.pth", {}, {"data.pkl": operations})
    with pytest.raises(
        DataError, match=r"holds an object, 'mypkg\.nets\.Net'.*save its state_dict"
    ):
        read_torch(path)


# --- zips


@pytest.mark.parametrize("packing", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
@pytest.mark.parametrize("member", ["top/data/0", "top/data.pkl", "top/version", "other"])
def test_compressed_members_are_refused(torch, tmp_path, packing, member):
    path = write_zip(tmp_path / "a.pth", {"t": Written(np.zeros(1 << 20, "f4"))})
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {"other": b"x" * 100, **members}.items():
            kind = packing if name == member else zipfile.ZIP_STORED
            archive.writestr(name, content, compress_type=kind)
    with pytest.raises(DataError, match=rf"a\.pth .*'{member}' is compressed.*torch.save"):
        read_torch(path)


def test_members_in_others_and_twice(torch, tmp_path):
    path = write_zip(tmp_path / "a.pth", {"t": Written(ARRAYS["b"])})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("top/data/0", bytes(24))
    with pytest.raises(DataError, match="'top/data/0' twice"):
        read_torch(path)
    path = write_zip(tmp_path / "a.pth", {"t": Written(ARRAYS["b"])})
    data = bytearray(path.read_bytes())
    place = data.rfind(b"PK\x01\x02")  # the last member's entry: it begins where another does
    data[place + 42 : place + 46] = bytes(4)
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"a\.pth"):
        read_torch(path)


@pytest.mark.parametrize("write", [write_zip, write_legacy])
def test_tensors_that_share_numbers_take_no_memory(torch, tmp_path, write):
    row = np.zeros(1 << 18, "f4")
    storage = Storage(row)

    class Tensor(Written):
        def __reduce__(self):
            function, (_, *rest) = super().__reduce__()
            return function, (storage, *rest)

    def content(count):
        return {f"t{number}": Tensor(row) for number in range(count)}

    path = tmp_path / "a.pth"
    made = write(path, content(2))
    assert len(read_torch(made)) == 2
    keep = {}
    buffer = io.BytesIO()

    class Same(Pickler):
        def persistent_id(self, value):
            if isinstance(value, Storage):
                self.keep["0"] = value.array
                kind = sys.modules["torch"].FloatStorage
                row = ("storage", kind, "0", "cpu", value.array.size)
                return (*row, None) if self.legacy else row
            return None

    if write is write_zip:
        Same(buffer, keep).dump(content(1000))
        write_zip(path, {}, {"data.pkl": buffer.getvalue(), "data/0": row.tobytes()})
    else:
        for head in (0x1950A86A20F9469CFC6C, 1001, {}):
            pickle.dump(head, buffer, protocol=2)
        Same(buffer, keep, legacy=True).dump(content(1000))
        pickle.dump(["0"], buffer, protocol=2)
        path.write_bytes(buffer.getvalue() + row.size.to_bytes(8, "little") + row.tobytes())
    with pytest.raises(DataError, match="share numbers and would take 1048576000 bytes"):
        read_torch(path)


@pytest.mark.parametrize("count", [1 << 60, 10**5000, -1, True, 2.0], ids=type)
def test_numbers_of_storages(torch, tmp_path, count):
    class Told(Pickler):
        def persistent_id(self, value):
            row = super().persistent_id(value)
            return row and (*row[:4], count)

    buffer, keep = io.BytesIO(), {}
    Told(buffer, keep).dump({"t": Written(ARRAYS["b"])})
    path = write_zip(tmp_path / "a.pth", {}, {"data.pkl": buffer.getvalue(), "data/0": bytes(24)})
    with pytest.raises(DataError, match=r"a\.pth.*storage of an unknown kind"):
        read_torch(path)


@pytest.mark.parametrize(
    "shape", [(10**5000,), (1,) * 5000, (1 << 60, 1 << 60), (True, 3), ("3",)], ids=len
)
def test_absurd_shapes(torch, tmp_path, shape):
    tensor = Written(ARRAYS["b"], 0, shape, (1,) * len(shape))
    with pytest.raises(DataError, match="impossible shape"):
        read_torch(write_zip(tmp_path / "a.pth", {"t": tensor}))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "a pointer of Git LFS"),
        (b"<!DOCTYPE html><html></html>", "a web page"),
        (b"\n <html>", "a web page"),
    ],
)
@pytest.mark.parametrize("ending", sorted(FORMATS))
def test_other_things_in_place_of_a_file(tmp_path, content, message, ending):
    path = tmp_path / f"x{ending}"
    path.write_bytes(content)
    for source in (path, f"mobilefacenet:{path}"):
        with pytest.raises(DataError, match=rf"x{ending} is {message.removeprefix('is ')}"):
            _ = open_weights(source).arrays
    path.unlink()
    path.mkdir()
    with pytest.raises(InputError, match=r"(is a folder|is no run folder)"):
        _ = open_weights(path).arrays
    with pytest.raises(InputError, match=rf"x{ending} is a folder"):
        _ = open_weights(f"mobilefacenet:{path}").arrays
