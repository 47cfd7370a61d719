"""Fold BatchNorms into the convolution or linear layer before them."""

from __future__ import annotations

import typing

import numpy as np

from .graph import Graph, Node, unused_name
from .layers import LINEAR

__all__ = ["WIDE", "constant", "drop_batch_norms", "fold_batch_norms", "scale_layer"]

WIDE = "(0, 0, 1, 1)"  # the shape that a BatchNorm of flat features sees them in


def fold_batch_norms(graph: Graph, values: dict[str, np.ndarray]) -> None:
    """Put each BatchNorm that follows a convolution or a linear layer into its weight and bias.

    Computed in float64.

    Parameters
    ----------
    graph : Graph
        It is changed.
    values : dict of str to numpy.ndarray
        The parameters by name; gets the new ones.
    """

    def fold(layer, norm):
        weight = layer.array(1, values)
        statistics = [norm.array(i, values) for i in range(1, 5)]
        has_bias = len(layer.inputs) > 2
        bias = layer.array(2, values) if has_bias else 0.0
        if weight is None or bias is None or any(a is None for a in statistics):
            return False
        gamma, beta, mean, variance = (a.astype(np.float64) for a in statistics)
        if norm.flag("fix_gamma", True):
            gamma = np.ones_like(gamma)
        scale = gamma / np.sqrt(variance + float(norm.value("eps", 1e-3)))
        scale_layer(layer, values, scale, beta + (bias - mean) * scale)
        return True

    _remove_batch_norms(graph, fold)


def drop_batch_norms(graph: Graph, weights: set[str]) -> dict[str, tuple[list[str], float]]:
    """Remove BatchNorms that an exporter has folded into the layer before, layers unchanged.

    Parameters
    ----------
    graph : Graph
        It is changed.
    weights : set of str
        Weights of the layers whose BatchNorm goes.

    Returns
    -------
    dict of str to tuple
        Name of the weight of each layer that is left without its BatchNorm -> names of that
        BatchNorm's gamma, beta, running mean and variance, and its eps.
    """
    dropped = {}

    def drop(layer, norm):
        weight = layer.inputs[1][0].name
        if weight in weights:
            names = [source.name for source, _ in norm.inputs[1:]]
            dropped[weight] = names, float(norm.value("eps", 1e-3))
        return weight in weights

    _remove_batch_norms(graph, drop)
    return dropped


def _remove_batch_norms(graph: Graph, fold: typing.Callable[[Node, Node], bool]) -> None:
    """Remove each BatchNorm right after a linear layer for which ``fold(layer, norm)`` is true."""
    users = graph.users()
    for norm in graph.nodes():
        if norm.op != "BatchNorm" or norm.value("axis", 1) != 1:
            continue
        reshape, layer = None, norm.inputs[0][0]
        if layer.op in ("Reshape", "reshape") and layer.attrs.get("shape") == WIDE:
            reshape, layer = layer, layer.inputs[0][0]
        if layer.op not in LINEAR or layer is graph.head[0]:
            continue
        if len(users[id(layer)]) != 1 or (reshape and len(users[id(reshape)]) != 1):
            continue
        if fold(layer, norm):
            graph.replace(norm, reshape or layer, users)
    users = graph.users()
    for node in graph.nodes():  # what is left of flat BatchNorms: there and back
        if node.op == "Flatten" and node.inputs[0][0].attrs.get("shape") == WIDE:
            graph.replace(node, node.inputs[0][0].inputs[0][0], users)


def scale_layer(
    layer: Node,
    values: dict[str, np.ndarray],
    scale: np.ndarray,
    bias: np.ndarray | None = None,
) -> None:
    """Multiply a layer's outputs by `scale` (C,), in its parameters. Others may share those.

    Parameters
    ----------
    layer : Node
        Convolution or FullyConnected.
    values : dict of str to numpy.ndarray
        The parameters by name; gets the new ones.
    scale : numpy.ndarray
    bias : numpy.ndarray, optional
        The new bias (C,); default the old one, scaled.
    """
    weight = layer.array(1, values)
    if bias is None and len(layer.inputs) > 2:
        bias = layer.array(2, values) * scale
    shape = (-1,) + (1,) * (weight.ndim - 1)
    inputs = [
        layer.inputs[0],
        (constant(f"{layer.name}_w", weight * scale.reshape(shape), values), 0),
    ]
    if bias is not None:
        inputs.append((constant(f"{layer.name}_b", bias, values), 0))
    layer.inputs = inputs
    layer.attrs["no_bias"] = str(bias is None)


def constant(name: str, array: np.ndarray, values: dict[str, np.ndarray]) -> Node:
    """Return a new variable that holds an array."""
    name = unused_name(name, values, join="")
    values[name] = np.ascontiguousarray(array, np.float32)
    return Node("null", name)
