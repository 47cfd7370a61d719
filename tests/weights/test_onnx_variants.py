"""What exporters and simplifiers of several years make of the same network."""

import numpy as np
import pytest
from onnx_files import array, matches, narrow, onnx, replace, rewritten

from gluonface.errors import DataError
from gluonface.weights import load_weights, open_weights


def const(model, name, value):
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(value), name))
    return name


def insert_before(model, node, *new):
    place = list(model.graph.node).index(node)
    for one in reversed(new):
        model.graph.node.insert(place, one)


def ops(model, kind):
    return [node for node in model.graph.node if node.op_type == kind]


def inputs_too(model):
    """MXNet's exporter, and old PyTorch, list the initializers among the inputs."""
    for tensor in model.graph.initializer:
        info = onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
        model.graph.input.append(info)


def numbered(model):
    """As PyTorch 1.8 names them; a free batch as InsightFace's files have it."""
    names = {"input.1": "input.1"}
    for node in model.graph.node:
        for row in (node.input, node.output):
            row[:] = [names.setdefault(name, str(400 + len(names))) for name in row]
        node.name = ""
    for tensor in model.graph.initializer:
        tensor.name = names.setdefault(tensor.name, tensor.name)
    model.graph.output[0].name = names[model.graph.output[0].name]
    dim = model.graph.input[0].type.tensor_type.shape.dim[0]
    dim.Clear()
    dim.dim_param = "None"


def flatten_by_shapes(model):
    """``x.view(x.size(0), -1)``, traced, in the opset of InsightFace's files."""
    model.opset_import[0].version = 11
    flat = ops(model, "Flatten")[0]
    make = onnx.helper.make_node
    zero = onnx.numpy_helper.from_array(np.array(0))
    minus = onnx.numpy_helper.from_array(np.array([-1]))
    insert_before(
        model,
        flat,
        make("Shape", [flat.input[0]], ["s"]),
        make("Constant", [], ["zero"], value=zero),
        make("Gather", ["s", "zero"], ["n"], axis=0),
        make("Constant", [], ["minus"], value=minus),
        make("Unsqueeze", ["n"], ["n1"], axes=[0]),
        make("Concat", ["n1", "minus"], ["to"], axis=0),
        make("Reshape", [flat.input[0], "to"], list(flat.output)),
    )
    model.graph.node.remove(flat)


def flatten_by_a_constant(model):
    """The same after a simplifier."""
    flat = ops(model, "Flatten")[0]
    to = const(model, "to", [-1, 32 * 49])
    new = onnx.helper.make_node("Reshape", [flat.input[0], to], list(flat.output))
    insert_before(model, flat, new)
    model.graph.node.remove(flat)


def constants_left(model):
    """Without constant folding: the transpose of the weights, the axes of the slopes."""
    make = onnx.helper.make_node
    for number, node in enumerate(ops(model, "PRelu")):
        slope = array(model, node.input[1])
        replace(model, node.input[1], slope.reshape(-1))
        axes = const(model, f"axes {number}", [1, 2])
        new = f"slope {number}"
        insert_before(model, node, make("Unsqueeze", [node.input[1], axes], [new]))
        node.input[1] = new
    (gemm,) = ops(model, "Gemm")
    weight = gemm.input[1]
    insert_before(model, gemm, make("Transpose", [weight], ["wt"], perm=[1, 0]))
    product = make("MatMul", [gemm.input[0], "wt"], ["product"])
    insert_before(model, gemm, product, make("Sum", [gemm.input[2], "product"], list(gemm.output)))
    model.graph.node.remove(gemm)


def shared_by_identity(model):
    """Equal tensors are kept once (PyTorch 1.10 and later); a Dropout of inference stays."""
    make = onnx.helper.make_node
    conv = ops(model, "Conv")[0]
    insert_before(model, conv, make("Identity", [conv.input[1]], ["the same"]))
    conv.input[1] = "the same"
    flat = ops(model, "Flatten")[0]
    ratio = const(model, "ratio", np.float32(0.4))
    insert_before(model, flat, make("Dropout", [flat.input[0], ratio], ["kept", "mask"]))
    flat.input[0] = "kept"
    (gemm,) = ops(model, "Gemm")
    replace(model, gemm.input[2], array(model, gemm.input[2]).reshape(1, -1))


def bias_apart(model):
    """A convolution's bias as an addition."""
    conv = ops(model, "Conv")[3]
    bias = conv.input[2]
    replace(model, bias, array(model, bias).reshape(1, -1, 1, 1))
    del conv.input[2]
    add = onnx.helper.make_node("Add", ["no bias", bias], list(conv.output))
    conv.output[0] = "no bias"
    model.graph.node.insert(list(model.graph.node).index(conv) + 1, add)


VARIANTS = (
    inputs_too,
    numbered,
    flatten_by_shapes,
    flatten_by_a_constant,
    constants_left,
    shared_by_identity,
    bias_apart,
)


@pytest.mark.parametrize("change", VARIANTS, ids=lambda change: change.__name__)
def test_versions_of_exporters(exported, tmp_path, change):
    path = rewritten(exported, tmp_path, change)
    onnx.checker.check_model(onnx.load(str(path)))
    matches(path, exported[1])


def test_some_folded_and_others_not(exported, tmp_path):
    """As where a program stops at layers that it does not know."""

    def change(model):
        conv = ops(model, "Conv")[2]
        name = conv.output[0]
        for role, value in (("g", 2), ("b", 0.5), ("m", 0.5), ("v", 4 - 1e-5)):
            const(model, role, np.full(8, value, "float32"))
        # 2 (x - 0.5) / 2 + 0.5 = x: the numbers stay, the layer is one more.
        norm = onnx.helper.make_node("BatchNormalization", ["raw", *"gbmv"], [name])
        conv.output[0] = "raw"
        model.graph.node.insert(list(model.graph.node).index(conv) + 1, norm)

    matches(rewritten(exported, tmp_path, change), exported[1])


@pytest.mark.parametrize(
    "steps",
    [
        [("Sub", 127.5), ("Mul", 1 / 127.5)],
        [("Sub", np.full((1, 3, 1, 1), 127.5)), ("Div", np.full((3, 1, 1), 127.5))],
        [("Div", 255), ("Sub", 0.5), ("Div", 0.5)],
        [("Mul", 1 / 127.5, "first"), ("Add", -1)],
    ],
)
def test_pixels_inside(exported, tmp_path, steps):
    def change(model):
        source = "input.1"
        for number, (op, value, *first) in enumerate(steps):
            name = const(model, f"c{number}", np.asarray(value, "float32"))
            operands = [name, source] if first else [source, name]
            source = f"p{number}"
            model.graph.node.insert(number, onnx.helper.make_node(op, operands, [source]))
        model.graph.node[len(steps)].input[0] = source

    path = rewritten(exported, tmp_path, change)
    pixels, inside = open_weights(path).pixels, open_weights(path).inside
    assert inside
    np.testing.assert_allclose([pixels["mean"], pixels["scale"]], [127.5, 1 / 127.5], rtol=1e-6)
    matches(path, exported[1])


def test_pixels_that_no_backbone_here_sees(exported, tmp_path):
    def change(model):
        value = np.array([123.7, 116.3, 103.5], "float32").reshape(1, 3, 1, 1)
        const(model, "mean", value)
        model.graph.node.insert(0, onnx.helper.make_node("Sub", ["input.1", "mean"], ["p"]))
        model.graph.node[1].input[0] = "p"

    with pytest.raises(DataError, match=r"differently \(Sub .*123\.7, 116\.3, 103\.5"):
        load_weights(narrow(), rewritten(exported, tmp_path, change))


def test_tensors_without_use_are_named(exported, tmp_path, caplog):
    path = rewritten(exported, tmp_path, lambda model: const(model, "left over", [1.0, 2.0]))
    matches(path, exported[1])
    assert "not used by its graph: left over" in caplog.text
