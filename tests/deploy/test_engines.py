"""That all engines give the same embeddings, and what they refuse."""

import json
import subprocess
import sys

import numpy as np
import pytest
from onnx_nets import SIZE, TensorProto, constant, helper, network, reference, save

from gluonface._compat import mx
from gluonface.deploy import Embedder
from gluonface.errors import DataError, MissingExtraError

make = helper.make_node
NAMES = {"openvino": "OpenVINO", "onnxruntime": "onnxruntime", "mxnet": "MXNet"}


@pytest.mark.parametrize("engine", NAMES)
def test_every_engine_gives_the_same(installed, small_prefix, images, engine):
    model = Embedder.load(small_prefix, ctx="cpu", engine=engine)
    assert model.engine.startswith(NAMES[engine])
    expected = Embedder.load(small_prefix, ctx="cpu", engine="mxnet")
    # OpenVINO left alone computes in bfloat16 where the CPU can; that differs by 1e-2.
    for count in (1, 2, 7):  # the first ones' results must not be overwritten by the next run
        np.testing.assert_allclose(
            model.embed(images[:count]), expected.embed(images[:count]), rtol=0, atol=2e-6
        )


def test_without_openvino(installed, exported, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'gluonface\[openvino\]'"):
        Embedder.load(exported["onnx"], engine="openvino")


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_files_that_are_not_networks(installed, tmp_path, engine):
    path = tmp_path / "x.onnx"
    path.write_bytes(b"not a network")
    with pytest.raises(DataError, match=r"x\.onnx is not an ONNX file"):
        Embedder.load(path, engine=engine)


SIGNALLED = """
import pathlib, signal, sys
from gluonface.deploy.engines import OpenVinoEngine
engines = [OpenVinoEngine(pathlib.Path(sys.argv[1])) for _ in range(2)]
engines.pop(0)
engines.pop(0)
signal.signal(signal.SIGINT, lambda number, frame: sys.stdout.write("heard"))
signal.raise_signal(signal.SIGINT)
"""


def test_signals_are_heard_after_engines_are_gone(installed, exported):
    # With a core of OpenVINO's for each engine, this process ends with a segmentation fault.
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", SIGNALLED, exported["onnx"]],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "heard"), done.stderr


# --- what a network takes and gives

ENGINES = ["openvino", "onnxruntime"]
PICTURES = np.random.RandomState(0).randint(0, 256, (15, 112, 112, 3)).astype(np.uint8)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", ["FLOAT", "FLOAT16", "DOUBLE", "UINT8"])
def test_pixels_as_the_network_wants_them(installed, tmp_path, engine, kind):
    model = network(kind=TensorProto.DataType.Value(kind))
    found = Embedder.load(save(model, tmp_path / "x.onnx"), "cpu", engine)
    if kind == "UINT8":  # the network normalises; normalised floats would all become 0 or 255
        pixels = PICTURES.transpose(0, 3, 1, 2)
    else:
        pixels = (PICTURES.transpose(0, 3, 1, 2).astype("f4") - 127.5) / 127.5
        pixels = pixels.astype({"FLOAT": "f4", "FLOAT16": "f2", "DOUBLE": "f8"}[kind])
    expected = reference(model, pixels)
    e, _ = found.embed_views(PICTURES)
    assert e.dtype == np.float32
    np.testing.assert_allclose(e, expected, atol=1e-2 if kind == "FLOAT16" else 1e-4)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", ["INT8", "INT32", "INT64", "BOOL", "BFLOAT16"])
def test_other_inputs_are_refused(installed, tmp_path, engine, kind):
    path = save(network(kind=TensorProto.DataType.Value(kind)), tmp_path / "x.onnx")
    with pytest.raises(DataError, match=r"x\.onnx takes .*expected float32, float16, float64 or u"):
        Embedder.load(path, "cpu", engine)


def test_bytes_and_a_card_that_normalises(installed, tmp_path):
    path = save(network(kind=TensorProto.UINT8), tmp_path / "x.onnx")
    card = {"format": "gluonface-model-card", "embedding_size": 8, "input_size": [112, 112]}
    card["preprocessing"] = {"mean": 127.5, "scale": 1 / 127.5}
    (tmp_path / "x.json").write_text(json.dumps(card))
    with pytest.raises(DataError, match=r"x\.onnx takes whole numbers 0 to 255 .*inside"):
        Embedder.load(path, "cpu")


def after(op, constants=(), outputs=TensorProto.FLOAT, **attributes):
    """Return a network whose embedding goes through one more operator."""
    names = [f"k{number}" for number in range(len(constants))]
    nodes = [make(op, ["embedding", *names], ["out"], **attributes)]
    model = network(head=nodes, output=outputs)
    for name, value in zip(names, constants):
        constant(model, name, np.int64(value))
    return model


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("model", "message"),
    [
        (after("ArgMax", axis=1, keepdims=0, outputs=TensorProto.INT64), "int64"),
        (after("Cast", to=6, outputs=TensorProto.INT32), "int32"),
        (after("Expand", [[4, 8]]), r"\(4, 8\) for 1 image"),
        (after("Gather", [[0, 0]], axis=0), r"\(2, 8\) for 1 image"),
        (after("Reshape", [[1, -1]]), r"\(1, 8\) for 1 image and \(1, 16\) for 2"),
        (after("Flatten", axis=0), r"\(1, 8\) for 1 image and \(1, 16\) for 2"),
        (after("ReduceMean", axes=[0], keepdims=1), r"\(1, 8\) for 1 image and \(1, 8\) for 2"),
        (after("Transpose", perm=[1, 0]), r"\(8, 1\) for 1 image"),
        (after("Reshape", [[-1, 4]]), r"\(2, 4\) for 1 image"),
        (after("LpNormalization", axis=0, p=2), "another output for an image alone"),
    ],
)
def test_a_row_for_each_image(installed, tmp_path, engine, model, message):
    path = save(model, tmp_path / "x.onnx")
    with pytest.raises(DataError, match=rf"x\.onnx gives .*{message}"):
        Embedder.load(path, "cpu", engine)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("batch", [1, 2, 4])
def test_a_fixed_batch(installed, tmp_path, engine, batch):
    model = network(batch=batch)
    found = Embedder.load(save(model, tmp_path / "x.onnx"), "cpu", engine)
    pixels = (PICTURES.transpose(0, 3, 1, 2).astype("f4") - 127.5) / 127.5
    np.testing.assert_allclose(
        found.embed_views(PICTURES)[0], reference(network(), pixels), atol=1e-4
    )
    other = after("Reshape", [[2 * batch, 4]])
    other.graph.input[0].type.tensor_type.shape.dim[0].dim_value = batch
    path = save(other, tmp_path / "y.onnx")
    with pytest.raises(DataError, match=rf"\({2 * batch}, 4\) for its batch of {batch}"):
        Embedder.load(path, "cpu", engine)


def test_a_network_for_one_image_that_says_any_number(installed, tmp_path):
    """Many an export has a shape of one image in it; it is run for one at a time."""
    found = Embedder.load(
        save(after("Reshape", [[1, 8]]), tmp_path / "x.onnx"), "cpu", "onnxruntime"
    )
    pixels = (PICTURES.transpose(0, 3, 1, 2).astype("f4") - 127.5) / 127.5
    np.testing.assert_allclose(
        found.embed_views(PICTURES)[0], reference(network(), pixels), atol=1e-4
    )


@pytest.mark.parametrize("engine", ENGINES)
def test_errors_at_run_are_ours(installed, tmp_path, engine):
    model = Embedder.load(save(network(), tmp_path / "x.onnx"), "cpu", engine)
    runner = model._engine

    class Broken:
        def run(self, *args):
            raise RuntimeError("first\nlast \x1b[31m")

        infer = run

        def __getattr__(self, name):
            raise AttributeError(name)

    runner._session = runner._request = Broken()
    if engine == "openvino":
        runner._forward = lambda images: Broken().run()
    with pytest.raises(
        DataError, match=r"cannot run .*x\.onnx: (first|last \\x1b.*)\. Try another"
    ):
        model.embed(PICTURES[:2])


def test_errors_of_mxnet_are_ours(small_prefix, monkeypatch):
    model = Embedder.load(small_prefix, "cpu", "mxnet")

    def fail(images):
        raise mx.MXNetError("Traceback\nout of memory")

    monkeypatch.setattr(model._engine._program, "run", fail)
    with pytest.raises(DataError, match=r"MXNet cannot run .*small-0000\.params: out of memory"):
        model.embed(PICTURES[:2])


@pytest.mark.parametrize("shape", ["(4,-1)", "(1,-1)"])
def test_a_symbol_gives_a_row_for_each_image(small_prefix, tmp_path, shape):
    symbol = json.loads(small_prefix.with_name("small-symbol.json").read_text())
    head = symbol["heads"][0]
    node = {"op": "Reshape", "name": "last", "attrs": {"shape": shape}, "inputs": [head]}
    symbol["nodes"][head[0]]["name"] = "before"
    symbol["nodes"].append(node)
    symbol["heads"] = [[len(symbol["nodes"]) - 1, 0, 0]]
    symbol["node_row_ptr"] = list(range(len(symbol["nodes"]) + 1))
    (tmp_path / "m-symbol.json").write_text(json.dumps(symbol))
    data = small_prefix.with_name("small-0000.params").read_bytes()
    (tmp_path / "m-0000.params").write_bytes(data)
    with pytest.raises(DataError, match=r"m-0000\.params.*expected a row for each image"):
        Embedder.load(tmp_path / "m", "cpu", "mxnet")


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_rows_of_a_network_that_was_not_tried(installed, tmp_path, engine, images, monkeypatch):
    """What is read off the graph is checked at every run."""
    found = Embedder.load(save(network(), tmp_path / "x.onnx"), "cpu", engine)
    assert found.embed(images).shape[1] == SIZE
    monkeypatch.setattr(found._engine, "embedding_size", SIZE + 1)
    with pytest.raises(DataError, match=rf"the shape \(\d, {SIZE}\) for .* {SIZE + 1}\)"):
        found.embed(images)


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_rows_that_depend_on_others_alike(installed, tmp_path, engine):
    """Of two images of noise a network makes nearly the same, and nearly the same of both."""
    nodes = [
        make("ReduceMax", ["embedding"], ["most"], axes=[0], keepdims=1),
        make("Add", ["embedding", "most"], ["out"]),
    ]
    path = save(network(nodes), tmp_path / "x.onnx")
    with pytest.raises(DataError, match="another output for an image alone"):
        Embedder.load(path, "cpu", engine)
