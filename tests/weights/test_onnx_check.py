"""What an ONNX file may hold before any engine sees it."""

import numpy as np
import pytest
from onnx_nets import (
    TensorProto,
    attribute,
    constant,
    helper,
    initializer,
    insert,
    network,
    node,
    numpy_helper,
    save,
)

from gluonface.errors import DataError
from gluonface.weights import open_weights

make = helper.make_node


def refused(model, tmp_path, message):
    path = save(model, tmp_path / "x.onnx")
    with pytest.raises(DataError, match=message) as caught:
        _ = open_weights(path).onnx_bytes
    assert "x.onnx" in str(caught.value)


def weight(model, array):
    initializer(model, "w").CopyFrom(numpy_helper.from_array(np.asarray(array), "w"))
    return model


def test_networks_pass(tmp_path, shared):
    for kind in (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.UINT8):
        assert open_weights(save(network(kind=kind), tmp_path / "x.onnx")).onnx_bytes
    for path in (shared / "reference").rglob("*.onnx"):
        assert open_weights(path).onnx_bytes  # which may have been mended
    path = save(network(), tmp_path / "y.onnx")
    assert open_weights(path).onnx_bytes == path.read_bytes()


def without_weight():
    model = network()
    model.graph.initializer.remove(initializer(model, "w"))
    return model


def unnamed_weight(name, place):
    model = network()
    node(model, name).input[place] = ""
    return model


@pytest.mark.parametrize(
    "model",
    [
        without_weight(),
        unnamed_weight("conv", 1),
        unnamed_weight("prelu", 1),
        unnamed_weight("fc", 1),
        weight(network(), np.zeros((4, 0, 16, 16), "f4")),
        weight(network(), np.zeros((0, 3, 16, 16), "f4")),
    ],
)
def test_no_weight(tmp_path, model):
    refused(model, tmp_path, "(has no weight|'w' of Conv 'conv' is missing)")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("strides", [0, 0]), ("strides", [1, -1]), ("dilations", [0, 1]), ("group", 0)),
        *(("group", -1), ("group", 1 << 40), ("pads", [1 << 31] * 4), ("kernel_shape", [0, 0])),
        *(("dilations", [1 << 31, 1]), ("strides", [16]), ("strides", 16), ("strides", 1.5)),
        *(("pads", [1]), ("kernel_shape", [16] * 9), ("unheard_of", 1)),
    ],
)
def test_attributes(tmp_path, name, value):
    model = network()
    attribute(model, "conv", name, value)
    refused(model, tmp_path, r"(Conv 'conv' has \w+ -?\d+; expected|onnx says: )")


def test_other_ranges(tmp_path):
    for op, attributes in (
        ("DepthToSpace", {"blocksize": 0}),
        ("Cast", {"to": 8}),
        ("Softmax", {"axis": 1 << 40}),
        ("LeakyRelu", {"alpha": float("nan")}),
        ("Einsum", {"equation": "i" * 5000}),
    ):
        model = network(head=[make(op, ["embedding"], ["out"], "last", **attributes)])
        refused(model, tmp_path, f"{op} 'last'")


@pytest.mark.parametrize(
    "op", ["Loop", "If", "Scan", "NonZero", "RandomNormalLike", "LSTM", "StringNormalizer", "Mod"]
)
def test_operators_are_named(tmp_path, op):
    model = network(head=[make(op, ["embedding"], ["out"])])
    refused(model, tmp_path, f"the operator '{op}', which is not read")


def test_operators_of_others(tmp_path):
    model = network(head=[make("Gelu", ["embedding"], ["out"], domain="com.microsoft")])
    refused(model, tmp_path, "the operator 'Gelu' of 'com.microsoft'")
    model = network()
    model.functions.add(name="Conv", domain="x")
    refused(model, tmp_path, "it holds functions")


def shaped(dims, kind=TensorProto.FLOAT, raw=b""):
    model = network()
    tensor = initializer(model, "w")
    tensor.CopyFrom(TensorProto(name="w", data_type=kind, raw_data=raw))
    tensor.dims.extend(dims)
    return model


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (shaped([1 << 40, 1 << 40]), "impossible shape"),
        (shaped([-4, 3, 16, 16]), "impossible shape"),
        (shaped([1] * 5000), "impossible shape of 5000 axes"),
        (shaped([4, 3, 16, 16], raw=bytes(7)), "has 7 bytes or values, not 12288"),
        (shaped([2], TensorProto.STRING), r"type STRING \(8\)"),
        (shaped([2], TensorProto.COMPLEX64), r"type COMPLEX64 \(14\)"),
        (shaped([2], 77), r"type unknown \(77\)"),
    ],
)
def test_tensors(tmp_path, model, message):
    refused(model, tmp_path, message)


def test_the_same_of_constants(tmp_path):
    tensor = TensorProto(name="k", data_type=TensorProto.FLOAT, raw_data=b"1234")
    tensor.dims.extend([1 << 20])
    model = network()
    insert(model, 0, make("Constant", [], ["k"], "k", value=tensor))
    refused(model, tmp_path, "the constant of Constant 'k' of shape")


@pytest.mark.parametrize("divisor", [[0, 1], [-1, 8], None])
def test_whole_numbers_are_not_divided_by_0(tmp_path, divisor):
    shape = make("Shape", ["embedding"], ["s"])
    minus = make("Sub", ["s", "s"], ["z"])  # 0, computed
    divided = make("Div", ["s", "z"], ["q"], "div")
    last = make("Reshape", ["embedding", "q"], ["out"])
    model = network(head=[shape, *([minus] if divisor is None else []), divided, last])
    if divisor is not None:
        constant(model, "z", np.int64(divisor))
    message = "Div 'div' divides whole numbers by what may be 0"
    if divisor is None:  # onnx 1.19 computes it while it infers shapes
        message += "|Invalid dimension value"
    refused(model, tmp_path, message)


def test_absurd_results(tmp_path):
    for op, name, value in (
        ("Tile", "reps", [1, 1 << 40]),
        ("Reshape", "shape", [1 << 40, -1]),
        ("Expand", "shape", [1 << 33, 8]),
    ):
        model = network(head=[make(op, ["embedding", name], ["out"])])
        constant(model, name, np.int64(value))
        refused(model, tmp_path, "would have the shape|onnx says: .*incompatible shapes")


def test_structure(tmp_path):
    model = network()
    node(model, "conv").input[0] = "f"  # its own result
    refused(model, tmp_path, "the tensor 'f' of Conv 'conv' is missing")
    model = network()
    model.graph.initializer.append(initializer(model, "w"))
    refused(model, tmp_path, "'w' is there twice")
    model = network()
    model.graph.node.append(node(model, "fc"))
    refused(model, tmp_path, "onnx says: Graph must be in single static assignment")
    model = network()
    del model.opset_import[:]
    refused(model, tmp_path, "onnx says: .*opset_import")
    model = network()
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_value = 1 << 23
    refused(model, tmp_path, "would have the shape|onnx says: .*Dimension mismatch")  # since 1.17


def test_thousands_of_nodes_take_no_time(tmp_path):
    names = ["embedding", *(f"n{number}" for number in range(19_000)), "out"]
    head = [make("Relu", [a], [b]) for a, b in zip(names, names[1:])]
    weights = open_weights(save(network(head=head), tmp_path / "x.onnx"))
    assert len(weights.content.graph.nodes()) > 19_000
    more = [make("Relu", ["out"], [f"m{number}"]) for number in range(2000)]
    model = network(head=[*head, *more])
    refused(model, tmp_path, r"it has \d+ operators; at most 20000")


def test_names_that_are_no_text(tmp_path):
    data = network().SerializeToString().replace(b"prelu", b"pr\xff\xfeu")
    (tmp_path / "x.onnx").write_bytes(data)
    with pytest.raises(DataError, match=r"x\.onnx is not run: it has a name that is no text"):
        _ = open_weights(tmp_path / "x.onnx").onnx_bytes


@pytest.mark.parametrize("equation", ["....", "ab,bc->....", "a-b", "a.b->a"])
def test_equations_that_are_none(tmp_path, equation):
    """Of some of them an engine never ends to read."""
    model = network(head=[make("Einsum", ["embedding"], ["out"], "sum", equation=equation)])
    refused(model, tmp_path, "Einsum 'sum' has equation .*, which is not read")


def test_a_resize_of_a_region(tmp_path):
    model = network()
    mode = {"coordinate_transformation_mode": "tf_crop_and_resize"}
    insert(model, 2, make("Resize", ["p", "roi", "scales"], ["q"], "resize", **mode))
    constant(model, "roi", np.full(8, np.nan, "f4"))
    constant(model, "scales", np.ones(4, "f4"))
    refused(model, tmp_path, "Resize 'resize' has coordinate_transformation_mode .*not read")
