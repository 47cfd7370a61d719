"""Steps of `rewrite` that turn PReLUs into what oneDNN does fast."""

from __future__ import annotations

import numpy as np

from ...weights.folding import constant, scale_layer
from ...weights.graph import Node

__all__ = ["fuse_prelu", "scale_inputs", "split_prelu"]

SMALLEST = 1e-6  # of |1 + a| / 2, relative to the activation: what it changes is below rounding


def _depthwise(name, source, weight, values):
    count = str(len(weight))
    attrs = {"kernel": "(1, 1)", "num_filter": count, "num_group": count, "no_bias": "True"}
    kernel = constant(f"{name}_weight", np.reshape(weight, (-1, 1, 1, 1)), values)
    return Node("Convolution", name, attrs, [source, (kernel, 0)])


def split_prelu(node, values, slope):
    """Write PReLU as (1 - a) relu(x) + a x with depthwise 1x1 convolutions, for any slopes."""
    x, name = node.inputs[0], node.name
    relu = Node("Activation", f"{name}_relu", {"act_type": "relu"}, [x])
    positive = _depthwise(f"{name}_positive", (relu, 0), 1 - slope, values)
    linear = _depthwise(f"{name}_linear", x, slope, values)
    node.op, node.attrs, node.inputs = "elemwise_add", {}, [(positive, 0), (linear, 0)]


def fuse_prelu(node, values, slope, users):
    """Write PReLU in one pass over memory after a convolution. Return whether that was possible.

    With ``p = (1 - a) / 2`` and ``q = (1 + a) / 2``, ``prelu(u) = p |u| + q u``. The convolution
    before is made to give ``v = q u``, and what is left, ``|(p / q) v| + v``, is one operator of
    oneDNN: a depthwise 1x1 convolution, whose kernel ends with the absolute value (a leaky
    ReLU of slope -1) and a sum. MXNet has an operator for that, but its own fusion makes only
    convolution, sum, activation of it, so that this order is written here.

    Where a slope is above 1, p is negative. Those channels get the other sign, which the
    convolutions that follow reverse.

    Slopes that are all the same become MXNet's leaky ReLU, which its fusion knows.
    """
    if np.all(slope == slope[0]):
        node.op, node.inputs = "LeakyReLU", node.inputs[:1]
        node.attrs = {"act_type": "leaky", "slope": repr(float(slope[0]))}
        return True
    before = node.inputs[0][0]
    if before.op != "Convolution" or len(users[id(before)]) != 1:
        return False
    if not all(source.is_variable and source.name in values for source, _ in before.inputs[1:]):
        return False
    slope = slope.astype(np.float64)
    sign = np.where(slope > 1, -1.0, 1.0)
    if np.any(sign < 0) and not scale_inputs(users.get(id(node), []), node, sign, values):
        return False
    p, q = np.abs(1 - slope) / 2, sign * (1 + slope) / 2
    q = np.where(np.abs(q) < SMALLEST, SMALLEST, q)
    scale_layer(before, values, q)
    absolute = _depthwise(f"{node.name}_abs", (before, 0), p / q, values)
    node.op = "_sg_mkldnn_conv"
    node.subgraphs = [_program(absolute)]
    node.attrs = {"with_act": "true", "with_sum": "true"}
    node.inputs = [(before, 0), absolute.inputs[1], (before, 0)]
    return True


def scale_inputs(layers, source, sign, values):
    """Multiply what convolutions read from `source` by `sign` (C,). Return whether it is done."""
    scaled = []
    for layer in layers:
        weight = values.get(layer.inputs[1][0].name) if len(layer.inputs) > 1 else None
        if layer.op != "Convolution" or layer.inputs[0][0] is not source or weight is None:
            return False
        groups = int(layer.attrs.get("num_group", 1))
        if groups == 1:
            shape = (1, -1, 1, 1)
        elif groups == len(weight) == len(sign):
            shape = (-1, 1, 1, 1)
        else:
            return False
        scaled.append((layer, weight * sign.reshape(shape)))
    for layer, weight in scaled:
        layer.inputs[1] = (constant(f"{layer.name}_turned", weight, values), 0)
    return bool(scaled)


def _program(conv):
    """Return convolution, absolute value and sum as MXNet writes its fused operators."""
    name = conv.name
    nodes = [
        {"op": "null", "name": f"{name}_data", "inputs": []},
        {"op": "null", "name": f"{name}_kernel", "inputs": []},
        {
            "op": "Convolution",
            "name": f"{name}_conv",
            "attrs": conv.attrs,
            "inputs": [[0, 0, 0], [1, 0, 0]],
        },
        {
            "op": "LeakyReLU",
            "name": f"{name}_act",
            "attrs": {"act_type": "leaky", "slope": "-1"},
            "inputs": [[2, 0, 0]],
        },
        {"op": "null", "name": f"{name}_other", "inputs": []},
        {"op": "elemwise_add", "name": f"{name}_sum", "inputs": [[3, 0, 0], [4, 0, 0]]},
    ]
    return {
        "nodes": nodes,
        "arg_nodes": [0, 1, 4],
        "node_row_ptr": list(range(len(nodes) + 1)),
        "heads": [[5, 0, 0]],
    }
