"""Shapes that an ONNX graph computes when it runs, and whose values nothing but the file decides.

onnx infers the shape of what an operator makes where a constant says it. PyTorch writes more: the
class token of a vision transformer is expanded to a shape that comes from Shape, ConstantOfShape,
Equal and Where. Here such values are computed, by onnx's own reference operators, and put into the
graph as constants, so that inference goes on.
"""

from __future__ import annotations

import math
import typing

import numpy as np

from ...errors import DataError, shown

__all__ = ["infer_computed_shapes", "known_shapes"]

MOST = 1024  # elements of a value that is computed here: shapes have few
_ROUNDS = 50  # of inference; each makes further shapes known
# Operator -> the inputs that decide the shape of its output. A Reshape or Slice cannot make a
# tensor larger; they are here because what comes after them can.
_DECIDING = {
    "Expand": (1,),
    "Tile": (1,),
    "Pad": (1, 3),
    "Upsample": (1,),
    "Resize": (2, 3),
    "ConstantOfShape": (0,),
    "Reshape": (1,),
    "Slice": (1, 2, 3, 4),
}
_HARMLESS = {"Reshape", "Slice"}
# What is computed of shapes. None makes more than its inputs have, but for those in `_size_made`.
_NAMES = """
    Add Sub Mul Div Min Max Neg Abs Floor Ceil Round Sqrt Cast Identity Constant
    Equal Greater GreaterOrEqual Less LessOrEqual And Or Not Where
    Gather Concat Slice Squeeze Unsqueeze Reshape Transpose Flatten Split
    ReduceProd ReduceSum ReduceMax ReduceMin Expand Tile ConstantOfShape
"""
_COMPUTED = frozenset(_NAMES.split())


def infer_computed_shapes(
    onnx: typing.Any, model: typing.Any, infer: typing.Callable[[typing.Any], typing.Any]
) -> typing.Any:
    """Return the graph with all shapes that can be inferred.

    Parameters
    ----------
    onnx : module
    model : onnx.ModelProto
        Its nodes get constants in place of shapes that they compute.
    infer : callable
        From a model to the graph with what onnx infers.

    Raises
    ------
    DataError
        When an operator makes a tensor whose size the values of the image decide.
    """
    graph = model.graph
    for _ in range(_ROUNDS):
        inferred = infer(model)
        shapes = known_shapes(inferred)
        given = {"", *(tensor.name for tensor in graph.initializer)}
        open_nodes = [
            node
            for node in graph.node
            if node.op_type in _DECIDING
            and (node.output[0] not in shapes or not given.issuperset(_checked(node)))
        ]
        if not open_nodes or not _decide(onnx, model, open_nodes, shapes):
            break
    makers = [node for node in open_nodes if node.op_type not in _HARMLESS]
    if makers:
        raise DataError(
            f"{makers[0].op_type} {shown(makers[0].name or makers[0].output[0])} makes a tensor "
            "whose size cannot be told before it runs"
        )
    return inferred


def _checked(node):
    """Return the inputs whose values `check_parameters` looks at."""
    return node.input[1::2] if node.op_type == "Pad" else ()


def known_shapes(graph: typing.Any) -> dict[str, tuple[int, ...]]:
    """Return {name: shape} of the tensors of an inferred graph whose shape is known wholly."""
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for value in (*graph.value_info, *graph.output, *graph.input):
        kind = value.type.tensor_type
        if kind.HasField("shape") and all(axis.HasField("dim_value") for axis in kind.shape.dim):
            shapes[value.name] = tuple(axis.dim_value for axis in kind.shape.dim)
    return shapes


def _decide(onnx, model, nodes, shapes):
    """Put constants in place of what decides the shapes of nodes; return whether any was found."""
    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    producers = {name: node for node in graph.node for name in node.output}
    wanted = {
        node.input[place]
        for node in nodes
        for place in _DECIDING[node.op_type]
        if place < len(node.input) and node.input[place] and node.input[place] not in constants
    }
    values = _compute(onnx, model, _sources(wanted, producers), constants, shapes)
    found = {name: value for name, value in values.items() if name in wanted}
    for name, value in found.items():
        if f"{name} of the file" not in constants:
            graph.initializer.append(
                onnx.numpy_helper.from_array(np.asarray(value), f"{name} of the file")
            )
    for node in nodes:
        for place in _DECIDING[node.op_type]:
            if place < len(node.input) and node.input[place] in found:
                node.input[place] = f"{node.input[place]} of the file"
    return bool(found)


def _sources(wanted, producers):
    """Return the outputs of nodes from which tensors are computed, up to where shapes are taken."""
    reached, left = set(), list(wanted)
    while left:
        name = left.pop()
        node = producers.get(name)
        if name in reached or node is None:
            continue
        reached.update(node.output)
        if node.op_type not in ("Shape", "Size"):
            left.extend(node.input)
    return reached


def _compute(onnx, model, reached, constants, shapes):
    """Return {name: array} of those of the `reached` tensors that are known."""
    values: dict[str, np.ndarray] = {"": np.empty(0)}
    for node in model.graph.node:
        if not reached.intersection(node.output):
            continue
        for name in node.input:
            if name in constants and name not in values:
                array = onnx.numpy_helper.to_array(constants[name])
                if array.size <= MOST:
                    values[name] = array
        if node.op_type in ("Shape", "Size"):
            shape = shapes.get(node.input[0])
            if shape is not None:
                values[node.output[0]] = _shape_value(node, shape)
        elif node.op_type in _COMPUTED and all(name in values for name in node.input):
            inputs = [values[name] for name in node.input]
            if _size_made(node, inputs) <= MOST:
                values.update(_run(onnx, model, node, inputs))
    return values


def _shape_value(node, shape):
    if node.op_type == "Size":
        return np.array(math.prod(shape), np.int64)
    given = {attribute.name: attribute.i for attribute in node.attribute}
    return np.array(shape[given.get("start", 0) : given.get("end", len(shape))], np.int64)


def _size_made(node, inputs):
    """Return how many elements a node makes, at most."""
    sizes = [value.size for value in inputs]
    if node.op_type in ("ConstantOfShape", "Expand", "Tile"):
        target = [abs(int(size)) for size in inputs[-1].ravel()]
        return math.prod(target) * max(1, *sizes[:-1], 1)
    return math.prod(max(size, 1) for size in sizes) if len(sizes) < 4 else sum(sizes)


def _run(onnx, model, node, inputs):
    """Return {name: array} of what a node makes; {} where the reference operator fails."""
    helper = onnx.helper
    named = {name: value for name, value in zip(node.input, inputs) if name}
    graph = helper.make_graph(
        [node],
        "one",
        [_describe(onnx, name, value) for name, value in named.items()],
        [helper.make_empty_tensor_value_info(name) for name in node.output],
    )
    try:
        from onnx.reference import ReferenceEvaluator

        one = helper.make_model(graph, opset_imports=model.opset_import)
        with np.errstate(all="ignore"):
            made = ReferenceEvaluator(one).run(None, named)
    except Exception:  # any of NumPy's and onnx's errors: the value stays unknown
        return {}
    return {
        name: value
        for name, value in zip(node.output, made)
        if isinstance(value, np.ndarray) and value.size <= MOST
    }


def _describe(onnx, name, value):
    kind = onnx.helper.np_dtype_to_tensor_dtype(value.dtype)
    return onnx.helper.make_tensor_value_info(name, kind, value.shape)
