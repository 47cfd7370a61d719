"""Steps of `rewrite` for gates and activations that MXNet computes outside oneDNN."""

from __future__ import annotations

import numpy as np

from ._fold import scale_layer
from .graph import Node

__all__ = ["cheapen"]

ACTIVATIONS = ("relu", "sigmoid", "tanh")


def cheapen(graph, values):
    """Replace operators that leave oneDNN's memory layout by some that stay in it, or join it."""
    for node in graph.nodes():
        if node.op in ACTIVATIONS:
            node.attrs, node.op = {"act_type": node.op}, "Activation"
        elif node.op == "hard_sigmoid":
            _clip_hard_sigmoid(graph, node, values)
        elif node.op in ("add_n", "ElementWiseSum"):
            _add_in_pairs(graph, node)


def _clip_hard_sigmoid(graph, node, values):
    """Give the line of a hard sigmoid to the convolution before; a clip joins the convolution."""
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
    """A sum of two joins the convolution before it; one of more does not."""
    total = node.inputs[0]
    for number, term in enumerate(node.inputs[1:-1]):
        total = (Node("elemwise_add", f"{node.name}_part{number}", {}, [total, term]), 0)
    node.op, node.attrs, node.inputs = "elemwise_add", {}, [total, node.inputs[-1]]
