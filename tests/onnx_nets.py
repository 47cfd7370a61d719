"""A small recognition network as an ONNX file, for tests that change it."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="needs the extra gluonface[onnx]")
TensorProto, helper, numpy_helper = onnx.TensorProto, onnx.helper, onnx.numpy_helper

SIZE = 8  # of the embedding


def values(*shape, seed=0, dtype="f4"):
    return np.random.default_rng(seed).normal(0, 0.2, shape).astype(dtype)


def network(head=(), kind=TensorProto.FLOAT, batch="N", size=112, output=TensorProto.FLOAT):
    """Return a model: a convolution, PReLU, and a linear layer; then the nodes of `head`.

    Parameters
    ----------
    head : sequence of NodeProto
        From ``embedding`` to ``out``; default none.
    kind, output : int
        Types of input and output. Of another than float32 a Cast follows.
    batch : str or int
    size : int
        Height and width.
    """
    make = helper.make_node
    nodes, last = [], "out" if not head else "embedding"
    start = "data"
    if kind != TensorProto.FLOAT:
        nodes.append(make("Cast", ["data"], ["pixels"], "cast", to=TensorProto.FLOAT))
        start = "pixels"
    if kind == TensorProto.UINT8:
        nodes.append(make("Sub", [start, "mean"], ["centred"], "sub"))
        nodes.append(make("Mul", ["centred", "scale"], ["scaled"], "mul"))
        start = "scaled"
    flat = 4 * (size // 16) ** 2
    nodes += [
        make("Conv", [start, "w"], ["c"], "conv", kernel_shape=[16, 16], strides=[16, 16]),
        make("PRelu", ["c", "a"], ["p"], "prelu"),
        make("Flatten", ["p"], ["f"], "flat"),
        make("Gemm", ["f", "g", "b"], [last], "fc", transB=1),
        *head,
    ]
    arrays = {
        "w": values(4, 3, 16, 16),
        "a": values(4, 1, 1),
        "g": values(SIZE, flat, seed=1),
        "b": values(SIZE, seed=2),
        "mean": np.float32([127.5]),
        "scale": np.float32([1 / 127.5]),
        "two": np.float32([2]),
    }
    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("data", kind, [batch, 3, size, size])],
        [helper.make_tensor_value_info("out", output, None)],
        [numpy_helper.from_array(array, name) for name, array in arrays.items() if name in used],
    )
    for value in graph.output:
        value.type.tensor_type.shape.SetInParent()
        value.type.tensor_type.ClearField("shape")
        value.type.tensor_type.shape.dim.add().dim_param = "n"
        value.type.tensor_type.shape.dim.add().dim_param = "d"
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    return model


def initializer(model, name):
    (found,) = [tensor for tensor in model.graph.initializer if tensor.name == name]
    return found


def node(model, name):
    (found,) = [node for node in model.graph.node if node.name == name]
    return found


def constant(model, name, array):
    """Add a tensor and return its name."""
    model.graph.initializer.append(numpy_helper.from_array(np.asarray(array), name))
    return name


def attribute(model, where, name, value):
    """Set an attribute of a node."""
    target = node(model, where)
    for one in [one for one in target.attribute if one.name == name]:
        target.attribute.remove(one)
    target.attribute.append(helper.make_attribute(name, value))


def insert(model, place, *nodes):
    """Insert nodes before place `place`."""
    for one in reversed(nodes):
        model.graph.node.insert(place, one)


def save(model, path):
    path.write_bytes(model.SerializeToString())
    return path


def reference(model, pixels):
    """Return what onnx's own slow implementation computes."""
    from onnx.reference import ReferenceEvaluator

    return ReferenceEvaluator(model).run(None, {"data": pixels})[0]
