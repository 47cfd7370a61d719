"""Steps of `rewrite` for gates and activations that MXNet computes outside oneDNN."""

from __future__ import annotations

import numpy as np

from ...weights.folding import constant, scale_layer
from ...weights.graph import Node

__all__ = ["use_onednn_ops"]

ACTIVATIONS = ("relu", "sigmoid", "tanh")
POOLINGS = {"mean": "avg", "sum": "avg", "max": "max"}


def use_onednn_ops(graph, values, shapes):
    """Replace operators that leave oneDNN's memory layout by some that stay in it."""
    for node in graph.nodes():
        if node.op in ACTIVATIONS:
            node.attrs, node.op = {"act_type": node.op}, "Activation"
        elif node.op == "hard_sigmoid":
            _clip_hard_sigmoid(graph, node, values)
        elif node.op in ("add_n", "ElementWiseSum"):
            _add_in_pairs(graph, node)
        elif node.op in POOLINGS:
            _reduce(graph, node, values, shapes)


def _clip_hard_sigmoid(graph, node, values):
    """Put the slope of a hard sigmoid into the convolution before, so that a clip is left."""
    layer = node.inputs[0][0]
    users = graph.users()
    known = all(s.is_variable and s.name in values for s, _ in layer.inputs[1:])
    if layer.op != "Convolution" or len(users[id(layer)]) != 1 or not known:
        return
    slope, middle = float(node.attrs.get("alpha", 0.2)), float(node.attrs.get("beta", 0.5))
    count = int(layer.attrs["num_filter"])
    bias = values[layer.inputs[2][0].name] if len(layer.inputs) > 2 else 0.0
    scale_layer(layer, values, np.full(count, slope), np.zeros(count) + bias * slope + middle)
    node.op, node.attrs = "clip", {"a_min": "0", "a_max": "1"}


def _add_in_pairs(graph, node):
    """Write a sum of several as sums of two, which alone join the convolution before them."""
    total = node.inputs[0]
    for number, term in enumerate(node.inputs[1:-1]):
        total = (Node("elemwise_add", f"{node.name}_part{number}", {}, [total, term]), 0)
    node.op, node.attrs, node.inputs = "elemwise_add", {}, [total, node.inputs[-1]]


def _reduce(graph, node, values, shapes):
    """Write a mean, sum or maximum over a map as a pooling; over channels as a convolution."""
    source = node.inputs[0]
    shape = shapes.get(source[0].name, ())
    axes = sorted(axis % 4 for axis in node.integers("axis"))
    keep = node.flag("keepdims")
    if len(shape) != 4 or node.flag("exclude") or (node is graph.head[0] and not keep):
        return
    kind = node.op
    if axes == [2, 3] and min(shape[2:]) > 1:
        attrs = {"kernel": "(1, 1)", "global_pool": "True", "pool_type": POOLINGS[kind]}
        result = Node("Pooling", f"{node.name}_pool", attrs, [source])
        if kind == "sum":
            attrs = {"scalar": str(float(shape[2] * shape[3]))}
            result = Node("_mul_scalar", f"{node.name}_total", attrs, [(result, 0)])
    elif axes == [1] and kind != "max" and keep:
        weight = np.full((1, shape[1], 1, 1), 1 / shape[1] if kind == "mean" else 1.0)
        kernel = constant(f"{node.name}_weight", weight, values)
        attrs = {"kernel": "(1, 1)", "num_filter": "1", "no_bias": "True"}
        result = Node("Convolution", f"{node.name}_conv", attrs, [source, (kernel, 0)])
    elif axes == [1] and kind == "max" and keep:
        # Channels as the rows of an image: a pooling took 1/2.9 of the time of
        # MXNet's maximum for 8 images of 64 or 128 channels, and as long for one (2 threads).
        _, count, rows, columns = shape
        attrs = {"shape": f"(0, 1, {count}, {rows * columns})"}
        flat = Node("Reshape", f"{node.name}_rows", attrs, [source])
        attrs = {"kernel": f"({count}, 1)", "pool_type": "max"}
        pooled = Node("Pooling", f"{node.name}_pool", attrs, [(flat, 0)])
        attrs = {"shape": f"(0, 1, {rows}, {columns})"}
        result = Node("Reshape", f"{node.name}_map", attrs, [(pooled, 0)])
    else:
        return
    if not keep:
        result = Node("Flatten", f"{node.name}_flat", {}, [(result, 0)])
    graph.replace(node, result)
