"""Networks whose large tensors are given as memory: the same results to the bit as of a file."""

import numpy as np
import pytest
from onnx_nets import constant, helper, network, node, values

from gluonface.deploy.onnx.engine_input import for_onnxruntime, read_with_openvino
from gluonface.weights.onnx.parts import OnnxParts, take_numbers

onnx = pytest.importorskip("onnx")
IMAGES = np.random.RandomState(0).rand(2, 3, 112, 112).astype(np.float32)
make = helper.make_node


def half():
    """The weight of a convolution in half precision, which a Cast turns into float32."""
    model = network()
    constant(model, "half", values(4, 3, 16, 16).astype(np.float16))
    model.graph.node.insert(0, make("Cast", ["half"], ["wide"], to=onnx.TensorProto.FLOAT))
    node(model, "conv").input[1] = "wide"
    return model


def with_unused():
    model = network()
    constant(model, "unused", values(3000))
    return model


def joined():
    """A large tensor that is an operand of other operators than layers."""
    size = 4 * 7 * 7
    model = network()
    constant(model, "rows", values(20, size))
    constant(model, "place", np.array(3))
    model.graph.node.insert(3, make("Gather", ["rows", "place"], ["row"]))
    model.graph.node.insert(4, make("Add", ["f", "row"], ["moved"]))
    node(model, "fc").input[0] = "moved"
    return model


NETWORKS = {"layers": network, "half": half, "unused": with_unused, "joined": joined}


@pytest.fixture(params=NETWORKS)
def model(request):
    return NETWORKS[request.param]()


def apart(model):
    """The two parts, the numbers of which begin at odd bytes, as in files."""
    bare, numbers = take_numbers(model.SerializeToString())
    assert numbers
    odd = {name: memoryview(b"." + view.tobytes())[1:] for name, view in numbers.items()}
    return OnnxParts(onnx.load_from_string(bare), odd)


def session(content, options):
    onnxruntime = pytest.importorskip("onnxruntime")
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def test_onnxruntime(model):
    onnxruntime = pytest.importorskip("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    parts = apart(model)
    before = parts.model.SerializeToString()
    content = for_onnxruntime(parts, options)
    whole = model.SerializeToString()
    if hasattr(options, "add_external_initializers_from_files_in_memory"):
        assert len(content) < len(whole) - sum(map(len, parts.numbers.values())) + 500
    found = session(content, options).run(None, {"data": IMAGES})[0]
    np.testing.assert_array_equal(found, session(whole, None).run(None, {"data": IMAGES})[0])
    assert parts.model.SerializeToString() == before


def test_an_older_onnxruntime_gets_a_whole_file(model):
    parts = apart(model)
    before = parts.model.SerializeToString()
    assert onnx.load_from_string(for_onnxruntime(parts, object())) == model
    assert parts.model.SerializeToString() == before


def run_with_openvino(network):
    openvino = pytest.importorskip("openvino")
    compiled = openvino.Core().compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.array(compiled([IMAGES])[0])


def test_openvino(model):
    core = pytest.importorskip("openvino").Core()
    parts = apart(model)
    before = parts.model.SerializeToString()
    network = read_with_openvino(core, parts)
    assert [port.any_name for port in network.inputs] == ["data"]
    expected = run_with_openvino(core.read_model(model.SerializeToString(), b""))
    np.testing.assert_array_equal(run_with_openvino(network), expected)
    assert parts.model.SerializeToString() == before


def test_openvino_reads_a_whole_file_where_it_needs_the_numbers(model):
    """As an operator would whose reader refuses what is no constant."""
    core = pytest.importorskip("openvino").Core()

    given = []

    class Picky:
        def read_model(self, content, weights):
            given.append(content)
            if len(given) == 1:
                raise RuntimeError("expected a constant")
            return core.read_model(content, weights)

    run_with_openvino(read_with_openvino(Picky(), apart(model)))
    assert onnx.load_from_string(given[1]) == model
