"""Half precision inside an ONNX file."""

import json

import numpy as np
import pytest
from deploy_nets import make_small

from gluonface._compat import mx
from gluonface.deploy import Embedder, export_model, export_source
from gluonface.errors import GluonfaceError
from gluonface.model_zoo import get_model

onnx = pytest.importorskip("onnx", reason="needs the extra: pip install gluonface[onnx]")
pytest.importorskip("onnxruntime", reason="needs the extra: pip install gluonface[onnx]")


def kinds(path):
    """Return {type of an operator: types of its floating-point inputs}, and the model."""
    model = onnx.shape_inference.infer_shapes(onnx.load(str(path)))
    graph = model.graph
    types = {v.name: v.type.tensor_type.elem_type for v in (*graph.input, *graph.value_info)}
    types.update({tensor.name: tensor.data_type for tensor in graph.initializer})
    names = {1: "float", 10: "half"}
    found = {}
    for node in graph.node:
        if node.op_type != "Cast":
            seen = {names.get(types[name]) for name in node.input} - {None}
            found.setdefault(node.op_type, set()).update(seen)
    return found, model


@pytest.mark.parametrize(
    "name",
    [
        "mobilefacenet",
        pytest.param("gluonfr_mobilefacenet_re_se", marks=pytest.mark.slow),
        pytest.param("se_resnet18_v2", marks=pytest.mark.slow),
    ],
)
def test_same_embeddings(tmp_path, images, name):
    mx.random.seed(2)
    files = export_model(get_model(name), tmp_path / "m", onnx=True, fp16=True)
    assert files["fp16"].name == "m.fp16.onnx"
    half, whole = (Embedder.load(files[role], engine="onnxruntime") for role in ("fp16", "onnx"))
    difference = np.abs(half.embed(images) - whole.embed(images)).max()
    assert 1e-6 < difference < 2e-3
    assert half.card["sha256"]["fp16"] == half.identity.sha256["fp16"]  # the card is used
    assert files["fp16"].stat().st_size < 0.55 * files["onnx"].stat().st_size

    found, model = kinds(files["fp16"])
    assert found["Conv"] == found["PRelu" if "PRelu" in found else "Relu"] == {"half"}
    assert found["Sub"] == {"float"}
    if "GlobalAveragePool" in found:
        assert found["GlobalAveragePool"] == {"float"}
    assert model.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    assert model.graph.output[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    assert json.loads((tmp_path / "m.json").read_text())["sha256"]["fp16"]


@pytest.mark.slow
def test_attention_stays_in_float(tmp_path):
    """Softmax, and LayerNorm up to the next matrix."""
    net = get_model("vit_t")
    files = export_model(net, tmp_path / "m", fp16=True)
    found, _ = kinds(files["fp16"])
    assert found["Softmax"] == found["ReduceMean"] == {"float"}
    assert found["MatMul"] == {"half"}


def test_what_half_precision_cannot_hold_is_named(tmp_path):
    net = make_small()
    weight = net.fc1.weight.data()
    net.fc1.weight.set_data(weight * 1e5 / weight.abs().max())
    with pytest.raises(
        GluonfaceError, match=r"constant fc1_weight of Conv_\w+ is 1e\+05, .*float32"
    ):
        export_model(net, tmp_path / "m", fp16=True)
    net.fc1.weight.set_data(weight * 4e4 / weight.abs().max())
    with pytest.raises(GluonfaceError, match=r"Conv_\w+ gives .* on noise, .* 65,504"):
        export_model(net, tmp_path / "m", fp16=True)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_accuracy_on_faces(shared, tmp_path):
    """The real model on real pairs: in half precision as in float32."""
    from gluonface.data import VerificationPack
    from gluonface.evaluation.protocols.verification import evaluate_pack

    model = shared / "data/insightface-mobilefacenet/model"
    files = export_source(model, tmp_path / "m", onnx=True, fp16=True)
    pack = VerificationPack.load(shared / "data/att/att_test.bin")
    half, whole = (
        evaluate_pack(Embedder.load(files[role], engine="onnxruntime"), pack)["sum"]
        for role in ("fp16", "onnx")
    )
    assert abs(half.accuracy - whole.accuracy) <= 1 / len(pack)
