"""ONNX files of other toolkits: what is changed before an engine or the import gets them."""

import dataclasses
import importlib.util
import logging

import numpy as np
import pytest
from onnx_nets import SIZE, helper, network, numpy_helper, onnx, reference, save

from gluonface._compat import mx
from gluonface.deploy import Embedder
from gluonface.errors import InputError
from gluonface.model_zoo import BACKBONES
from gluonface.model_zoo.adaface_ir import AdaFaceIR
from gluonface.weights import load_weights, open_weights
from gluonface.weights.onnx.mending import is_unit_length, without_unit_length

pytest.importorskip("onnxruntime", reason="needs the extra gluonface[onnx]")
ENGINES = [
    name for name in ("onnxruntime", "openvino") if importlib.util.find_spec(name) is not None
]
HALF = {"fp16_io": 2e-3}  # it computes in half precision
COLORS = {"adaface_two_outputs": "BGR"}
FILES = ("adaface_two_outputs", "fp16_io", "mxnet_opset7", "nhwc")


@pytest.fixture(scope="module")
def files(shared):
    """Return the folder of small ONNX files of several exporters and what they give."""
    folder = shared / "reference/weights2/weights"
    if not folder.is_dir():
        pytest.skip(f"needs {folder}")
    return folder, np.load(folder / "expected_onnx.npz")


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("key", FILES)
def test_reference_files_run(files, key, engine):
    folder, expected = files
    images, color = expected["images"], COLORS.get(key, "RGB")
    model = Embedder.load(folder / f"{key}.onnx", "cpu", engine, color=color)
    assert model.card["color"] == color
    limit = HALF.get(key, 2e-5)
    e, f = model.embed_views(images)
    if f"{key}__unit" in expected:  # what it gives has unit length already
        np.testing.assert_allclose(e, expected[f"{key}__unit"], rtol=0, atol=limit)
        mirrored = expected[f"{key}__flip"]
        mirrored = mirrored / np.linalg.norm(mirrored, axis=1, keepdims=True)
    else:
        np.testing.assert_allclose(e, expected[key], rtol=0, atol=limit)
        mirrored = expected[f"{key}__flip"]
    np.testing.assert_allclose(f, mirrored, rtol=0, atol=limit)
    other = "RGB" if color == "BGR" else "BGR"
    wrong = Embedder.load(folder / f"{key}.onnx", "cpu", engine, color=other)
    assert np.abs(wrong.embed_views(images)[0] - e).max() > 10 * limit


@pytest.mark.parametrize("key", ["adaface_two_outputs", "fp16_io"])
def test_reference_files_are_imported(files, key):
    """With BatchNorms folded, before the division by the length, in float32."""
    folder, expected = files
    cfg = dataclasses.replace(
        BACKBONES.get("adaface_ir_18")[0], name="narrow", embedding_size=32, scale=1 / 127.5
    )
    net = AdaFaceIR(cfg, (1, 2, 2, 1), widths=(4, 4, 8, 16, 32))
    net.initialize()
    color = COLORS.get(key, "RGB")
    load_weights(net, open_weights(folder / f"{key}.onnx", color=color))
    images = expected["images"]
    for flip, views in (("", images), ("__flip", images[:, :, ::-1])):
        x = mx.nd.array(views.transpose(0, 3, 1, 2).astype("f4"))
        want = expected[key + flip]
        np.testing.assert_allclose(net(x).asnumpy(), want, rtol=0, atol=2e-5)
        assert np.abs(net(x.flip(axis=1)).asnumpy() - want).max() > 0.1


# --- made here ---------------------------------------------------------------------------------


def info(name, *shape):
    return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)


def pixels(images):
    return (images.astype("f4") - 127.5) / np.float32(127.5)


def with_norm(first=False, names=("norm", "feature")):
    """Return a network with the length of its embedding as a second output."""
    model = network()
    length, unit = names
    model.graph.node.append(helper.make_node("ReduceL2", ["out"], [length], axes=[1], keepdims=1))
    model.graph.node.append(helper.make_node("Div", ["out", length], [unit]))
    both = [info(length, "N", 1), info(unit, "N", SIZE)]
    del model.graph.output[:]
    model.graph.output.extend(both if first else both[::-1])
    return model


@pytest.mark.parametrize("first", [True, False])
def test_the_embedding_of_two_outputs(tmp_path, images, caplog, first):
    path = save(with_norm(first), tmp_path / "m.onnx")
    with caplog.at_level(logging.INFO):
        e, _ = Embedder.load(path, "cpu", "onnxruntime").embed_views(images)
    assert "the output 'feature' is the embedding; not used: 'norm'" in caplog.text
    assert "gives embeddings of unit length" in caplog.text
    np.testing.assert_allclose(np.linalg.norm(e, axis=1), 1, atol=1e-5)


def test_two_embeddings_are_asked_about(tmp_path, images):
    model = with_norm()
    model.graph.output.append(info("out", "N", SIZE))
    path = save(model, tmp_path / "m.onnx")
    with pytest.raises(InputError, match=r"2 outputs .* 'feature', 'out'; name one with --output"):
        Embedder.load(path, "cpu", "onnxruntime")
    with pytest.raises(InputError, match="no output 'x'; it has 'feature', 'norm', 'out'"):
        Embedder.load(path, "cpu", "onnxruntime", output="x")
    found = Embedder.load(path, "cpu", "onnxruntime", output="out").embed_views(images)[0]
    want = reference(network(), np.ascontiguousarray(pixels(images).transpose(0, 3, 1, 2)))
    np.testing.assert_allclose(found, want, rtol=1e-4, atol=1e-4)


def colors_last(model, used_twice):
    """Let a network take images with the colours last."""
    value = model.graph.input[0]
    dims = [helper.make_tensor_value_info("x", 1, ["N", 112, 112, 3])]
    value.type.CopyFrom(dims[0].type)
    value.name = "images"
    turn = helper.make_node("Transpose", ["images"], ["data"], perm=[0, 3, 1, 2])
    model.graph.node.insert(0, turn)
    if used_twice:  # by another node than the one that turns them
        kept = helper.make_node("Mul", ["images", "one"], ["scaled"])
        turn.input[0] = model.graph.node[0].input[0] = "scaled"
        model.graph.node.insert(0, kept)
        model.graph.initializer.append(numpy_helper.from_array(np.float32([1]), "one"))
    return model


@pytest.mark.parametrize("used_twice", [False, True])
@pytest.mark.parametrize("engine", ENGINES)
def test_colors_last(tmp_path, images, engine, used_twice):
    path = save(colors_last(network(), used_twice), tmp_path / "m.onnx")
    found = Embedder.load(path, "cpu", engine).embed_views(images)[0]
    want = reference(network(), np.ascontiguousarray(pixels(images).transpose(0, 3, 1, 2)))
    np.testing.assert_allclose(found, want, rtol=1e-4, atol=1e-4)


def test_slopes_of_old_exporters(tmp_path, images):
    """Of maps alone: a flat PReLU's slope (C,) is right as it is."""
    model = network()
    want = reference(model, np.ascontiguousarray(pixels(images).transpose(0, 3, 1, 2)))
    slope = next(tensor for tensor in model.graph.initializer if tensor.name == "a")
    del slope.dims[1:]
    flat = np.full(SIZE, 1, "f4")
    model.graph.initializer.append(numpy_helper.from_array(flat, "one"))
    model.graph.node[-1].output[0] = "before"
    model.graph.node.append(helper.make_node("PRelu", ["before", "one"], ["out"]))
    for tensor in model.graph.initializer:
        model.graph.input.append(info(tensor.name, *tensor.dims))
    path = save(model, tmp_path / "m.onnx")
    mended = open_weights(path).onnx_model
    assert [value.name for value in mended.graph.input] == ["data"]
    shapes = {tensor.name: list(tensor.dims) for tensor in mended.graph.initializer}
    assert (shapes["a"], shapes["one"]) == ([4, 1, 1], [SIZE])
    found = Embedder.load(path, "cpu", "onnxruntime").embed_views(images)[0]
    np.testing.assert_allclose(found, want, rtol=1e-4, atol=1e-4)


TAILS = {
    "LpNormalization": [helper.make_node("LpNormalization", ["embedding"], ["out"], axis=1, p=2)],
    "the least length": [
        helper.make_node("ReduceL2", ["embedding"], ["n"], axes=[1], keepdims=1),
        helper.make_node("Clip", ["n"], ["c"]),
        helper.make_node("Div", ["embedding", "c"], ["out"]),
    ],
}


@pytest.mark.parametrize("tail", TAILS)
def test_unit_length_at_the_end(tail):
    model = network(TAILS[tail])
    assert is_unit_length(model)
    bare = without_unit_length(onnx, model)
    assert [node.op_type for node in bare.graph.node][-1] == "Gemm"
    assert bare.graph.output[0].name == "embedding"
    onnx.checker.check_model(bare)
    assert not is_unit_length(bare)
    other = network([helper.make_node("Div", ["embedding", "two"], ["out"])])
    assert not is_unit_length(other)
    assert without_unit_length(onnx, other) is other


def test_the_color_in_the_file(tmp_path, images, caplog):
    model = network()
    path = save(model, tmp_path / "m.onnx")
    plain = Embedder.load(path, "cpu", "onnxruntime")
    assert "takes RGB or BGR" in caplog.text
    caplog.clear()
    helper.set_model_props(model, {"color": "BGR"})
    turned = Embedder.load(save(model, tmp_path / "b.onnx"), "cpu", "onnxruntime")
    assert (plain.card["color"], turned.card["color"]) == ("RGB", "BGR")
    assert not [r for r in caplog.records if r.levelname == "WARNING"]
    flipped = np.ascontiguousarray(images[..., ::-1])
    found, want = turned.embed_views(images)[0], plain.embed_views(flipped)[0]
    np.testing.assert_allclose(found, want, rtol=1e-4, atol=1e-4)
