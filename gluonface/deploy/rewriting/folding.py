"""Steps of `rewrite` that take operators out of a graph: what can be computed once, beforehand."""

from __future__ import annotations

import numpy as np

from ...weights.graph import Node

__all__ = ["drop_idle", "fold_batch_norms", "linear_to_conv", "widen_batch_norm"]

WIDE = "(0, 0, 1, 1)"
IDLE = ("Dropout", "BlockGrad", "_copy", "identity", "stop_gradient")


def drop_idle(graph):
    """Take out what does nothing in inference."""
    for node in graph.nodes():
        if node.op in IDLE and not node.inputs[0][0].is_variable:
            source, index = node.inputs[0]
            if index == 0:
                graph.replace(node, source)


def widen_batch_norm(graph, norm):
    """Run a BatchNorm of a flat (N,C) input on (N,C,1,1).

    MXNet's oneDNN BatchNorm ends the process in inference when it meets a flat input after a
    (N,C,1,1) one of the same size, anywhere in the process.
    """
    wide = Node("Reshape", f"{norm.name}_4d", {"shape": WIDE}, [norm.inputs[0]])
    flat = Node("Flatten", f"{norm.name}_flat", {}, [(norm, 0)])
    graph.replace(norm, flat)
    norm.inputs[0] = (wide, 0)


def fold_batch_norms(graph, values):
    """Put each BatchNorm that follows a convolution or a linear layer into its weight and bias.

    Computed in float64. `values` gets the new arrays.
    """
    users = graph.users()
    for norm in graph.nodes():
        if norm.op != "BatchNorm" or int(norm.attrs.get("axis", 1)) != 1:
            continue
        reshape, layer = None, norm.inputs[0][0]
        if layer.op == "Reshape" and layer.attrs.get("shape") == WIDE:
            reshape, layer = layer, layer.inputs[0][0]
        if layer.op not in ("Convolution", "FullyConnected") or layer is graph.head[0]:
            continue
        if len(users[id(layer)]) != 1 or (reshape and len(users[id(reshape)]) != 1):
            continue
        weight = _array(layer, 1, values)
        statistics = [_array(norm, i, values) for i in range(1, 5)]
        if weight is None or any(a is None for a in statistics):
            continue
        if len(layer.inputs) > 2 and _array(layer, 2, values) is None:
            continue
        gamma, beta, mean, variance = (a.astype(np.float64) for a in statistics)
        if norm.attrs.get("fix_gamma", "True") in ("True", "1", "true"):
            gamma = np.ones_like(gamma)
        scale = gamma / np.sqrt(variance + float(norm.attrs.get("eps", 1e-3)))
        bias = _array(layer, 2, values) if len(layer.inputs) > 2 else 0.0
        scale_layer(layer, values, scale, beta + (bias - mean) * scale)
        graph.replace(norm, reshape or layer)
        users = graph.users()
    for node in graph.nodes():  # what is left of FlatBatchNorm: there and back
        if node.op == "Flatten" and node.inputs[0][0].attrs.get("shape") == WIDE:
            graph.replace(node, node.inputs[0][0].inputs[0][0])


def scale_layer(layer, values, scale, bias=None):
    """Multiply a layer's outputs by `scale` (C,), in its parameters. Others may share those.

    Parameters
    ----------
    layer : Node
        Convolution or FullyConnected.
    values : dict of str to numpy.ndarray
    scale : numpy.ndarray
    bias : numpy.ndarray, optional
        The new bias (C,); default the old one, scaled.
    """
    weight = _array(layer, 1, values)
    if bias is None and len(layer.inputs) > 2:
        bias = _array(layer, 2, values) * scale
    shape = (-1,) + (1,) * (weight.ndim - 1)
    inputs = [
        layer.inputs[0],
        (constant(f"{layer.name}_w", weight * scale.reshape(shape), values), 0),
    ]
    if bias is not None:
        inputs.append((constant(f"{layer.name}_b", bias, values), 0))
    layer.inputs = inputs
    layer.attrs["no_bias"] = str(bias is None)


def constant(name, array, values):
    """Return a new variable that holds an array."""
    number, unused = 0, name
    while unused in values:
        number += 1
        unused = f"{name}{number}"
    values[unused] = np.ascontiguousarray(array, np.float32)
    return Node("null", unused)


def _array(node, index, values):
    source = node.inputs[index][0]
    return values.get(source.name) if source.is_variable else None


def linear_to_conv(graph, values, shapes):
    """Write linear layers of (N,C,1,1) as 1x1 convolutions.

    MXNet's fused linear layer fails in a graph with planned memory when its input is in oneDNN's
    layout ("We can't generate TBlob for MKLDNN data").
    """
    for node in graph.nodes():
        if node.op != "FullyConnected" or node.attrs.get("flatten", "True") not in ("True", "1"):
            continue
        source = node.inputs[0]
        if source[0].op in ("Flatten", "flatten"):
            source = source[0].inputs[0]
        shape = shapes.get(source[0].name)
        weight = _array(node, 1, values)
        if shape is None or len(shape) != 4 or shape[2:] != (1, 1) or weight is None:
            continue
        kernel = constant(f"{node.name}_4d", weight[:, :, None, None], values)
        attrs = {
            "kernel": "(1, 1)",
            "num_filter": str(len(weight)),
            "no_bias": str(len(node.inputs) < 3),
        }
        conv = Node("Convolution", f"{node.name}_conv", attrs, [source, (kernel, 0)])
        conv.inputs += node.inputs[2:]
        name, node.name = node.name, f"{node.name}_linear"
        graph.replace(node, Node("Flatten", name, {}, [(conv, 0)]))
