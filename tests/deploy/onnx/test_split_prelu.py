"""PReLU split for onnxruntime: the same embeddings to the bit, and what is left as it is."""

import collections
import platform

import numpy as np
import pytest

from gluonface.deploy import Embedder
from gluonface.deploy.onnx.split_prelu import split_prelus

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
if platform.machine() != "x86_64":
    pytest.skip("PReLUs are split on x86-64 only", allow_module_level=True)


def network(slope, size=(1, 4, 5, 6), opset=13, between=()):
    """Return a model of one PRelu, whose output is that of the model."""
    make, tensor = onnx.helper.make_node, onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [*between, make("PRelu", ["mid" if between else "data", "slope"], ["out"])],
        "g",
        [tensor("data", onnx.TensorProto.FLOAT, list(size))],
        [tensor("out", onnx.TensorProto.FLOAT, None)],
        [onnx.numpy_helper.from_array(np.asarray(slope), "slope")],
    )
    opsets = [onnx.helper.make_opsetid("", opset)]
    return onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8)


def operators(model):
    return collections.Counter(node.op_type for node in model.graph.node)


def run(model, images):
    content = model.SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: images})[0]


SLOPES = np.array([0.25, -1.5, 0.0, 2.4], np.float32)  # any sign, also above 1


@pytest.mark.parametrize("shape", [(4, 1, 1), (1, 4, 1, 1)])
@pytest.mark.parametrize("opset", [11, 13, 17])
def test_each_value_is_that_of_prelu_to_the_bit(shape, opset):
    model = network(SLOPES.reshape(shape), opset=opset)
    split = split_prelus(model)
    assert operators(split) == {"Relu": 2, "Conv": 2, "Add": 1}
    images = np.random.RandomState(0).randn(1, 4, 5, 6).astype(np.float32) * 100
    images[0, :, 0, :2] = 0, 1e-38
    np.testing.assert_array_equal(run(split, images), run(model, images))


def test_one_slope_for_all_channels():
    model = network(np.float32([[[0.25]]]))
    split = split_prelus(model)
    assert operators(split)["PRelu"] == 0
    images = np.random.RandomState(0).randn(1, 4, 5, 6).astype(np.float32)
    np.testing.assert_array_equal(run(split, images), run(model, images))


def test_a_network_gives_the_same_embeddings(installed, exported, images):
    model = onnx.load(exported["onnx"])
    split = split_prelus(model)
    assert operators(model)["PRelu"] > 0
    assert operators(split)["PRelu"] == 0
    batch = np.ascontiguousarray(images.transpose(0, 3, 1, 2)).astype(np.float32)
    np.testing.assert_allclose(run(split, batch), run(model, batch), rtol=0, atol=1e-6)


def test_the_engine_runs_the_split_network(installed, exported, images, monkeypatch):
    given = []
    session = onnxruntime.InferenceSession

    def spy(content, *args, **kwargs):
        given.append(content)
        return session(content, *args, **kwargs)

    monkeypatch.setattr(onnxruntime, "InferenceSession", spy)
    model = Embedder.load(exported["onnx"], ctx="cpu", engine="onnxruntime")
    assert operators(onnx.load_from_string(given[-1]))["PRelu"] == 0
    expected = Embedder.load(exported["onnx"], ctx="cpu", engine="openvino")
    np.testing.assert_allclose(model.embed(images), expected.embed(images), rtol=0, atol=2e-6)


CAST = onnx.helper.make_node("QuantizeLinear", ["data", "scale"], ["quantised"])
# As many channels as `take_numbers` takes the slopes of out of the model.
APART = network(np.full((4, 1, 1), 0.25, np.float32))
APART.graph.initializer[0].ClearField("raw_data")
NO_OPSET = network(SLOPES.reshape(4, 1, 1))
NO_OPSET.ClearField("opset_import")


@pytest.mark.parametrize(
    "model",
    [
        network(np.float32([0.25]).reshape(1)),  # one slope for all
        network(np.full((4, 5, 6), 0.25, np.float32)),  # one a pixel
        network(SLOPES.reshape(4, 1, 1), size=(4, 5, 6)),  # its first axis is no channel of images
        network(SLOPES.reshape(4, 1, 1).astype(np.float16)),
        network(SLOPES.reshape(4, 1, 1), between=[CAST]),
        NO_OPSET,
        APART,
    ],
    ids=["one", "pixels", "rank 3", "half", "8 bits", "onnx cannot infer shapes", "no numbers"],
)
def test_what_is_left_as_it_is(model):
    assert split_prelus(model) is model


def test_the_model_that_is_split_stays_as_it_is():
    model = network(SLOPES.reshape(4, 1, 1))
    model.producer_name = "x"
    before = model.SerializeToString()
    split = split_prelus(model)
    assert operators(split)["PRelu"] == 0
    assert split.producer_name == "x"
    assert model.SerializeToString() == before


def test_on_another_machine_nothing_is_split(monkeypatch):
    model = network(SLOPES.reshape(4, 1, 1))
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert split_prelus(model) is model
