"""ONNX files as other projects export them: BatchNorms folded into the convolutions before."""

import re

import numpy as np
import pytest
from onnx_files import array, matches, narrow, onnx, replace, rewritten

from gluonface._compat import mx
from gluonface.errors import DataError, InputError
from gluonface.model_zoo import get_model
from gluonface.weights import load_weights, open_weights


def test_our_own_export(exported, tmp_path):
    path = tmp_path / "own.onnx"
    path.write_bytes(exported[0])
    pixels, inside = open_weights(path).pixels, open_weights(path).inside
    assert inside
    np.testing.assert_allclose([pixels["mean"], pixels["scale"]], [127.5, 1 / 127.5], rtol=1e-6)
    matches(path, exported[1])
    with pytest.raises(InputError, match=r"build the model with mean=127\.5"):
        load_weights(narrow(scale=1 / 128), path)


def test_folded(exported, tmp_path):
    path = rewritten(exported, tmp_path)
    ops = [node.op_type for node in onnx.load(str(path)).graph.node]
    # One before each of 5 units, one after the last, one after the linear layer; 17 folded.
    assert ops.count("BatchNormalization") == 5 + 2
    assert open_weights(path).pixels == {"mean": 127.5, "scale": 1 / 127.5}
    assert not open_weights(path).inside
    assert open_weights(path).embedding_size == 16
    matches(path, exported[1])


def test_other_ways_to_write_the_same(exported, tmp_path):
    def change(model):
        for node in model.graph.node:
            if node.op_type == "PRelu":  # (C,1,1) for (C,), or ours
                slope = array(model, node.input[1])
                replace(model, node.input[1], slope.reshape(-1, 1, 1))
            if node.op_type == "Gemm":  # a product, and its bias apart
                weight, bias = list(node.input)[1:]
                replace(model, weight, np.ascontiguousarray(array(model, weight).T))
                out = node.output[0]
                node.CopyFrom(onnx.helper.make_node("MatMul", [node.input[0], weight], ["product"]))
                add = onnx.helper.make_node("Add", [bias, "product"], [out])
        place = [node.op_type for node in model.graph.node].index("MatMul") + 1
        model.graph.node.insert(place, add)

    matches(rewritten(exported, tmp_path, change), exported[1])


def test_folded_into_the_linear_layer_too(exported, tmp_path):
    def change(model):
        (gemm,) = [n for n in model.graph.node if n.op_type == "Gemm"]
        last = next(n for n in reversed(model.graph.node) if n.op_type == "BatchNormalization")
        gamma, beta, mean, variance = (array(model, name) for name in last.input[1:])
        factor = gamma / np.sqrt(variance + 1e-5)
        replace(model, gemm.input[1], array(model, gemm.input[1]) * factor[:, None])
        bias = array(model, gemm.input[2]) * factor + beta - mean * factor
        replace(model, gemm.input[2], bias.astype("float32"))
        gemm.output[0] = model.graph.output[0].name
        place = list(model.graph.node).index(gemm) + 1
        del model.graph.node[place:]

    path = rewritten(exported, tmp_path, change)
    assert open_weights(path).embedding_size == 16
    matches(path, exported[1])


def test_what_does_not_fit_is_named(exported, tmp_path):
    def widen(model):
        replace(model, "stages_0_0_conv1_weight", np.zeros((9, 8, 3, 3), "float32"))

    def slope(model):
        return [n for n in model.graph.node if n.op_type == "PRelu"][3].input[1]

    def drop(model):
        replace(model, slope(model), np.zeros(1, "float32"), "another")

    def nan(model):
        replace(model, slope(model), array(model, slope(model)) * np.float32(np.nan))

    def gamma(model):
        last = [n for n in model.graph.node if n.op_type == "BatchNormalization"][-1]
        last.input[1] = "gamma of two"
        replace(model, "gamma of two", np.full(16, 2, "float32"))

    def stride(model):
        conv = next(n for n in model.graph.node if n.op_type == "Conv")
        next(a for a in conv.attribute if a.name == "strides").ints[:] = [2, 2]

    for change, message in (
        (widen, r"the shape \(8,\); expected \(9,\)"),
        (drop, "'stages_1_1_prelu_alpha_3d' of .* is missing"),
        (nan, "'stages_1_1_prelu_alpha_3d' of .* holds NaN"),
        (gamma, "'gamma of two' of .* is not 1"),
        (stride, r"has stride \(2, 2\)|onnx says: .*Dimension mismatch"),  # since onnx 1.17
    ):
        with pytest.raises(DataError, match=message):
            load_weights(narrow(), rewritten(exported, tmp_path, change))
    with pytest.raises(DataError, match=r"layer 1 of .* has stride"):
        load_weights(
            get_model("mbf", embedding_size=16, scale=1 / 127.5), rewritten(exported, tmp_path)
        )


def test_broken_files(exported, tmp_path):
    path = tmp_path / "a.onnx"
    with pytest.raises(InputError, match="there is no file"):
        load_weights(narrow(), path)
    for content in (b"", b"garbage", exported[0][: len(exported[0]) // 2]):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"a\.onnx"):
            load_weights(narrow(), path)


def test_numbers_in_a_file_beside(exported, tmp_path):
    """As PyTorch writes them since 2.9; no file of another folder is opened for it."""
    path = rewritten(exported, tmp_path)
    model = onnx.load(str(path))
    onnx.save_model(model, str(path), save_as_external_data=True, location="w.data")
    assert path.stat().st_size < 50_000 < (tmp_path / "w.data").stat().st_size
    net = narrow()
    assert sorted(load_weights(net, path)) == ["w.data", "w.onnx"]
    matches(path, exported[1])

    whole = (tmp_path / "w.data").read_bytes()
    (tmp_path / "w.data").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"is not whole in .*w\.data"):
        load_weights(net, path)
    (tmp_path / "w.data").unlink()
    (tmp_path / "secret").write_bytes(whole)
    (tmp_path / "w.data").symlink_to(tmp_path / "secret")
    for place in ("w.data", "../w.data", "/etc/passwd", "none", ".", ""):
        model = onnx.load(str(path), load_external_data=False)
        for tensor in model.graph.initializer:
            for entry in tensor.external_data:
                if entry.key == "location":
                    entry.value = place
        path.write_bytes(model.SerializeToString())
        with pytest.raises(DataError, match=f"{re.escape(repr(place))}; expected the name of a"):
            load_weights(net, path)


def test_embeddings_of_the_reference(shared):
    folder = shared / "reference/weights"
    with np.load(folder / "expected.npz", allow_pickle=False) as file:
        expected = dict(file)
    path = folder / "arcface_torch_mbf.onnx"
    net = get_model("mbf", **open_weights(path).pixels)
    files = load_weights(net, path)
    assert [len(digest) for digest in files.values()] == [64]
    x = expected["images"].transpose(0, 3, 1, 2).astype("float32")
    for suffix, view in (("", x), ("__flip", x[..., ::-1])):
        got = net(mx.nd.array(view)).asnumpy()
        # Both are float32; their README measures 1.5e-5 between two runtimes.
        want = expected[f"arcface_torch_mbf_onnx{suffix}"]
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-4)
