"""Whether the parameters of an ONNX graph's operators fit each other.

onnx's inference does not compare them, nor do all kernels of the engines: of a bias that is shorter
than its convolution has filters onnxruntime reads what lies behind it, and of a scale and its zero
points of unequal lengths OpenVINO makes a tensor of another shape; and a Pad that takes more away
than is there, or a ConvTranspose of a larger output than its stride gives, ends the process.
"""

from __future__ import annotations

import math
import typing

from ...errors import DataError, shown
from .computed_shapes import known_shapes

__all__ = ["check_parameters"]

# Operator -> places of scales and zero points of the same shape; of weights that have a scale or
# zero point for each filter, or one for all; of scales and zero points of images, which have one.
PAIRS = {
    "QuantizeLinear": ((1, 2),),
    "DequantizeLinear": ((1, 2),),
    "QLinearConv": ((1, 2), (4, 5), (6, 7)),
    "QLinearMatMul": ((1, 2), (4, 5), (6, 7)),
}
ONE = {"QLinearConv": (1, 2, 6, 7), "ConvInteger": (2,)}
EACH = {"QLinearConv": (3, (4, 5)), "ConvInteger": (1, (3,))}
BIAS = {"Conv": (1, 2), "ConvTranspose": (1, 2), "QLinearConv": (3, 8)}
MOST_PADDING = 4096  # of an axis


def check_parameters(onnx: typing.Any, graph: typing.Any) -> None:
    """Raise DataError unless parameters have the shapes that their operators need.

    Parameters
    ----------
    onnx : module
    graph : onnx.GraphProto
        With the shapes that onnx infers.
    """
    shapes = known_shapes(graph)
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "ConvTranspose":
            _check_output_padding(node)
        if node.op_type == "Pad":
            _check_padding(onnx, node, shapes, constants)
        for name, shape, expected in _needed(node, shapes):
            if shape not in expected:
                raise DataError(
                    f"{shown(name)}, a parameter of {node.op_type} "
                    f"{shown(node.name or node.output[0])}, has the shape {shape}; expected "
                    f"{expected[0]}"
                )


def _needed(node, shapes):
    """Yield (name, shape or None if it is not known, allowed shapes) of parameters of a node."""

    def at(place):
        name = node.input[place] if place < len(node.input) else ""
        return name, shapes.get(name)

    op = node.op_type
    for first, second in PAIRS.get(op, ()):
        (_, scale), (name, points) = at(first), at(second)
        if name:
            yield name, points, [scale]
    for place in ONE.get(op, ()):
        name, shape = at(place)
        if name:
            yield name, shape, [(), (1,)]
    if op in EACH:
        weight, places = EACH[op]
        for place in places:
            name, shape = at(place)
            if name:
                yield name, shape, [(at(weight)[1] or (None,))[:1], (), (1,)]
    if op in BIAS:
        weight, place = BIAS[op]
        name, shape = at(place)
        if name:
            yield name, shape, [_filters(node, at(weight)[1])]


def _check_output_padding(node):
    """Raise unless a ConvTranspose's output is as large as its stride and padding say."""
    who = f"ConvTranspose {shown(node.name or node.output[0])}"
    settings = {a.name: list(a.ints) for a in node.attribute if a.ints}
    if "output_shape" in settings:  # which engines read in different ways
        raise DataError(f"{who} has an output_shape, which is not read")
    added = settings.get("output_padding")
    if added is None:
        return
    strides = settings.get("strides", [1] * len(added))
    if len(added) != len(strides) or not all(0 <= a < s for a, s in zip(added, strides)):
        raise DataError(f"{who} has output_padding {added}; expected less than its strides")


def _check_padding(onnx, node, shapes, constants):
    """Raise unless something is left of each axis, and little is added."""

    def whole(place):
        name = node.input[place] if place < len(node.input) else ""
        return onnx.numpy_helper.to_array(constants[name]).tolist() if name in constants else None

    who = f"Pad {shown(node.name or node.output[0])}"
    shape = shapes.get(node.input[0])
    given = [list(a.ints) for a in node.attribute if a.name in ("pads", "paddings")]
    pads = given[0] if given else whole(1)
    if shape is None or pads is None:
        raise DataError(f"{who} makes a tensor whose size cannot be told before it runs")
    axes = range(len(shape)) if whole(3) is None else whole(3)
    if len(pads) != 2 * len(axes) or not all(-len(shape) <= axis < len(shape) for axis in axes):
        raise DataError(f"{who} has the pads {pads[:16]} for {len(axes)} axes of {len(shape)}")
    for axis, begin, end in zip(axes, pads, pads[len(axes) :]):
        left = shape[axis] + min(begin, 0) + min(end, 0)
        if left < 1 or max(begin, end) > MOST_PADDING:
            raise DataError(f"{who} adds {begin} and {end} to an axis of {shape[axis]}")


def _filters(node, weight):
    """Return the shape of a convolution's bias."""
    if node.op_type != "ConvTranspose":
        return (weight or (None,))[:1]
    groups = next((a.i for a in node.attribute if a.name == "group"), 1)
    return (math.prod((weight or (0, 0))[1:2]) * groups,)
