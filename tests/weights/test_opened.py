"""The one object for an opened source, and that every file is read and hashed once."""

import builtins
import collections
import hashlib
import io
import json
import os
import pathlib
import shutil
import sys

import numpy as np
import pytest
from deploy_nets import make_small

from gluonface._compat import mx
from gluonface.cli import main
from gluonface.deploy import Embedder, export_model, export_source
from gluonface.errors import DataError, InputError
from gluonface.files import sha256
from gluonface.model_zoo import get_model
from gluonface.weights import load_weights, open_weights, opened
from gluonface.weights.mxnet_params import params_bytes, read_params
from gluonface.weights.source import FORMATS, find_source


def params_file(prefix):
    return prefix.with_name("small-0000.params")


def rewrite(prefix, **changes):
    """Write the params with some tensors replaced (or None: left out)."""
    arrays = read_params(params_file(prefix))
    for name, value in changes.items():
        key = next(k for k in arrays if k.partition(":")[2] == name)
        arrays[key] = value
    kept = {k: v for k, v in arrays.items() if v is not None}
    params_file(prefix).write_bytes(params_bytes(kept))


@pytest.fixture
def counted(monkeypatch):
    """Count what Python opens, and how often bytes are hashed and parsed."""
    opens, hashes, parses = (collections.Counter() for _ in range(3))
    whole = hashlib.sha256

    def counting(function):
        def opener(file, *args, **kwargs):
            if isinstance(file, (str, os.PathLike)):
                opens[pathlib.Path(file).name] += 1
            return function(file, *args, **kwargs)

        return opener

    for module in (builtins, io):
        monkeypatch.setattr(module, "open", counting(module.open))
    monkeypatch.setattr(os, "open", counting(os.open))
    if sys.version_info[:2] == (3, 10):  # its pathlib has kept the function of before
        monkeypatch.setattr(pathlib._NormalAccessor, "open", staticmethod(io.open))

    def hashing(data=b""):
        if data:
            hashes[bytes(data)[:64]] += 1
        return whole(data)

    monkeypatch.setattr(hashlib, "sha256", hashing)
    # Readers in C++ that would open a file behind Python's back.
    monkeypatch.setattr(mx.sym, "load", lambda path: opens.update([pathlib.Path(path).name]))
    monkeypatch.setattr(mx.nd, "load", lambda path: opens.update([pathlib.Path(path).name]))
    for name in ("parse_onnx", "read_onnx", "read_layers"):
        function = getattr(opened, name)
        monkeypatch.setattr(
            opened, name, lambda *a, f=function, n=name: parses.update([n]) or f(*a)
        )
    for format, reader in opened.READERS.items():
        monkeypatch.setitem(
            opened.READERS, format, lambda w, f=reader: parses.update(["reader"]) or f(w)
        )
    return opens, hashes, parses


def once(counted, *names):
    opens, hashes, parses = counted
    assert {name: opens[name] for name in names} == dict.fromkeys(names, 1)
    assert max(hashes.values(), default=0) <= 1
    assert max(parses.values(), default=0) <= 1


def test_an_onnx_import_opens_the_file_once(shared, tmp_path, counted):
    pytest.importorskip("onnxruntime", reason="needs the extra gluonface[onnx]")
    import onnxruntime

    source, out = tmp_path / "x.onnx", tmp_path / "m.params"
    shutil.copy(shared / "reference/weights/arcface_torch_mbf.onnx", source)
    counted[0].clear()
    session, paths = onnxruntime.InferenceSession, []

    class Session(session):
        def __init__(self, model, *args, **kwargs):
            paths.extend([model] if isinstance(model, str) else [])
            super().__init__(model, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onnxruntime, "InferenceSession", Session)
        assert main(["import", "--from", str(source), "--model", "mbf", "--out", str(out)]) == 0
    once(counted, "x.onnx")
    assert counted[2] == {"parse_onnx": 1, "read_onnx": 1, "read_layers": 1, "reader": 1}
    assert not paths
    assert json.loads(out.with_suffix(".json").read_text())["imported_from"]["sha256"] == {
        "x.onnx": hashlib.sha256(source.read_bytes()).hexdigest()
    }


@pytest.mark.parametrize(
    ("files", "source", "model"),
    [
        (["insightface-mobilefacenet/model-symbol.json"], "model", "mobilefacenet"),
        (["arcface_torch_mbf.pth"], "arcface_torch_mbf.pth", "mbf"),
    ],
)
def test_other_imports_open_each_file_once(shared, tmp_path, counted, files, source, model):
    folder = shared / ("data" if "/" in files[0] else "reference/weights")
    for file in files:
        shutil.copy(folder / file, tmp_path)
        if "symbol" in file:
            shutil.copy(folder / file.replace("symbol.json", "0000.params"), tmp_path)
    names = [file.name for file in tmp_path.iterdir()]
    counted[0].clear()
    command = ["import", "--from", str(tmp_path / source), "--model", model]
    assert main([*command, "--out", str(tmp_path / "m.params")]) == 0
    once(counted, *names)


def test_embedders_and_exports_open_each_file_once(small_prefix, tmp_path, counted, images):
    for file in small_prefix.parent.iterdir():
        shutil.copy(file, tmp_path / file.name)
    counted[0].clear()
    weights = open_weights(tmp_path / "small")
    Embedder.load(weights, ctx="cpu").embed(images)
    assert weights.sha256["small-0000.params"]
    names = ("small-0000.params", "small-symbol.json", "small.json")
    once(counted, *names)
    export_source(weights, tmp_path / "again")  # it hashes what it writes
    assert [counted[0][name] for name in names] == [1, 1, 1]


def test_onnx_embedders_open_the_file_once(shared, tmp_path, counted):
    """Without a model card, so that the graph has to be looked at."""
    pytest.importorskip("onnxruntime", reason="needs the extra gluonface[onnx]")
    source = tmp_path / "x.onnx"
    shutil.copy(shared / "reference/weights/arcface_torch_mbf.onnx", source)
    counted[0].clear()
    Embedder.load(source)
    once(counted, "x.onnx")


def test_the_object_says_all(prefix):
    weights = open_weights(prefix)
    assert open_weights(weights) is weights
    assert str(weights) == str(prefix)
    assert (weights.embedding_size, weights.color, weights.inside) == (16, "RGB", True)
    assert weights.pixels == {"mean": 127.5, "scale": 0.0078125}  # of the card
    assert weights.sha256 == {
        name: sha256(prefix.with_name(name)) for name in ("small-0000.params", "small-symbol.json")
    }
    assert weights.symbol.list_outputs() == ["fc1_output"]
    assert set(weights.arrays) == {name.partition(":")[2] for name in weights.content.arrays}
    assert weights.card["name"] == "small"
    assert weights.content.graph.head[0].name == "fc1"
    assert weights.content.unused == []


def test_every_format_has_a_reader():
    assert set(FORMATS.values()) < set(opened.READERS)


def test_random_weights_have_no_file():
    weights = open_weights("mobilefacenet:untrained")
    assert (weights.sha256, weights.card, weights.pixels) == ({}, None, {})
    for attribute in ("content", "params", "embedding_size"):
        with pytest.raises(InputError, match="mobilefacenet:untrained has random weights"):
            getattr(weights, attribute)
    with pytest.raises(InputError, match="has random weights; expected a file"):
        load_weights(get_model("mobilefacenet"), weights)


def test_sources_and_paths_do_as_well(prefix):
    found = find_source(prefix)
    assert open_weights(found).source is found
    assert open_weights(str(prefix)).source == found


@pytest.mark.parametrize("content", [b"", b"\x00" * 4096, b"PK\x03\x04" + b"x" * 500])
def test_garbage_params_never_reach_mxnet(prefix, content):
    params_file(prefix).write_bytes(content)
    with pytest.raises(
        DataError, match="is not an MXNet parameter file" if content else "is empty"
    ):
        Embedder.load(prefix)


def test_params_cut_short(prefix):
    whole = params_file(prefix).read_bytes()
    params_file(prefix).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="is not a whole MXNet parameter file"):
        Embedder.load(prefix)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"nodes": []}', '{"nodes": 3, "heads": []}'])
def test_garbage_symbol(prefix, text):
    prefix.with_name("small-symbol.json").write_text(text)
    what = "not an MXNet symbol" if text else "empty"
    with pytest.raises(DataError, match=rf"small-symbol\.json is {what}"):
        Embedder.load(prefix)


def test_tensors_that_do_not_fit_are_named(prefix):
    rewrite(prefix, fc1_weight=None)
    with pytest.raises(DataError, match="lacks 'fc1_weight'"):
        Embedder.load(prefix)


@pytest.mark.parametrize("name", ["fc1_weight", "head_bn2_running_var", "features_2_alpha"])
def test_misshapen_tensors_are_named(prefix, name):
    rewrite(prefix, **{name: np.zeros((5, 7), np.float32)})
    with pytest.raises(DataError, match=rf"'{name}' in .* has the shape \(5, 7\); the symbol"):
        Embedder.load(prefix)


def test_a_card_of_other_weights_is_not_believed(prefix, caplog, images):
    expected = Embedder.load(prefix).embed(images)
    card = json.loads(prefix.with_name("small.json").read_text())
    card["preprocessing"] = {"mean": 1.0, "scale": 3.0}
    prefix.with_name("small.json").write_text(json.dumps(card))
    assert np.abs(Embedder.load(prefix).embed(images) - expected).max() > 0.01  # believed
    card["sha256"]["params"] = "0" * 64
    prefix.with_name("small.json").write_text(json.dumps(card))
    np.testing.assert_array_equal(Embedder.load(prefix).embed(images), expected)
    assert "is of another file; it is not used" in caplog.text


def test_training_symbols_are_cut_at_the_embedding(tmp_path, images):
    """InsightFace's checkpoints of a training run may hold the loss as well."""
    net = make_small()
    export_model(net, tmp_path / "m")
    symbol = mx.sym.load(str(tmp_path / "m-symbol.json"))
    logits = mx.sym.FullyConnected(symbol, num_hidden=10, no_bias=True, name="fc7")
    mx.sym.SoftmaxOutput(logits, name="softmax").save(str(tmp_path / "t-symbol.json"))
    shutil.copy(tmp_path / "m-0000.params", tmp_path / "t-0000.params")
    np.testing.assert_array_equal(
        Embedder.load(tmp_path / "t").embed(images), Embedder.load(tmp_path / "m").embed(images)
    )


def test_numbers_in_a_file_beside(shared, tmp_path, counted, images):
    """Engines get such a network in one piece, and its hashes name both files."""
    pytest.importorskip("onnxruntime", reason="needs the extra gluonface[onnx]")
    import onnx

    path, source = tmp_path / "x.onnx", shared / "reference/weights/arcface_torch_mbf.onnx"
    model = onnx.load(str(source))
    onnx.save_model(model, str(path), save_as_external_data=True, location="x.data")
    digests = {file.name: sha256(file) for file in (path, tmp_path / "x.data")}
    counted[0].clear()
    weights = open_weights(path)
    actual = Embedder.load(weights, ctx="cpu").embed(images)
    assert weights.sha256 == digests
    once(counted, "x.onnx", "x.data")
    np.testing.assert_array_equal(actual, Embedder.load(source, ctx="cpu").embed(images))


@pytest.fixture
def classifier(small_prefix, tmp_path):
    """Return the prefix of a checkpoint whose embedding is called `code`, with a classifier."""
    raw = json.loads(small_prefix.with_name("small-symbol.json").read_text())
    for node in raw["nodes"]:
        if node["name"] == "fc1":
            node["name"] = "code"
    code = mx.sym.load_json(json.dumps(raw))
    head = mx.sym.FullyConnected(code, num_hidden=3, no_bias=True, name="classes")
    mx.sym.SoftmaxOutput(head, name="softmax").save(str(tmp_path / "c-symbol.json"))
    arrays = read_params(params_file(small_prefix))
    size = open_weights(small_prefix).embedding_size
    weight = {"arg:classes_weight": np.ones((3, size), np.float32)}
    (tmp_path / "c-0000.params").write_bytes(params_bytes({**arrays, **weight}))
    return tmp_path / "c"


def test_the_layer_before_a_classifier_is_named(classifier, small_prefix):
    images = np.random.RandomState(0).randint(0, 256, (2, 112, 112, 3)).astype(np.uint8)
    with pytest.raises(DataError, match="--layer NAME names the layer of the embedding"):
        Embedder.load(classifier)
    with pytest.raises(InputError, match=r"no layer 'fc9'; near its end it has .*code, classes"):
        Embedder.load(classifier, output="fc9")
    expected = Embedder.load(small_prefix, engine="mxnet").embed(images)
    for name in ("code", "code_output"):
        found = Embedder.load(classifier, engine="mxnet", output=name).embed(images)
        np.testing.assert_array_equal(found, expected)


def test_checkpoints_without_prefixes(small_prefix, tmp_path):
    """As `mx.nd.save` of a plain dict writes them: averages of BatchNorm are told by the graph."""
    images = np.random.RandomState(0).randint(0, 256, (2, 112, 112, 3)).astype(np.uint8)
    shutil.copy(small_prefix.with_name("small-symbol.json"), tmp_path / "bare-symbol.json")
    arrays = read_params(params_file(small_prefix))
    assert any(name.startswith("aux:") for name in arrays)
    bare = {name.split(":", 1)[1]: array for name, array in arrays.items()}
    (tmp_path / "bare-0000.params").write_bytes(params_bytes(bare))
    for engine in ("mxnet", "auto"):
        np.testing.assert_array_equal(
            Embedder.load(tmp_path / "bare", engine=engine).embed(images),
            Embedder.load(small_prefix, engine=engine).embed(images),
        )
