"""Reduce a graph to its layers with weights.

Two graphs of the same network can have other names, neutral operators in between, and their
nodes in another order. What stays is which layer feeds which; that is what is compared here.
"""

from __future__ import annotations

import dataclasses
import hashlib

from ..errors import DataError
from .graph import Graph, Node

__all__ = ["LINEAR", "Layer", "Layers", "read_layers"]

LINEAR = ("Convolution", "FullyConnected")
# operator -> roles of its parameters after the data input
ROLES = {
    **dict.fromkeys(LINEAR, ("weight", "bias")),
    "BatchNorm": ("gamma", "beta", "running_mean", "running_var"),
    "LeakyReLU": ("alpha",),
}
# Operators that change nothing in inference but, at most, how the numbers are laid out.
NEUTRAL = {"Flatten", "Reshape", "reshape", "Dropout", "_copy", "identity", "BlockGrad", "Cast"}
MAX_EXPRESSION = 2000  # characters
SHOWN = 60
ADD = {"elemwise_add", "broadcast_add", "_plus", "_Plus", "_add", "add_n", "ElementWiseSum"}
# What a step on pixels that are (x - mean) * scale so far makes of both.
SCALAR = {
    "_minus_scalar": lambda mean, scale, s: (mean + s / scale, scale),
    "_plus_scalar": lambda mean, scale, s: (mean - s / scale, scale),
    "_mul_scalar": lambda mean, scale, s: (mean, scale * s),
    "_div_scalar": lambda mean, scale, s: (mean, scale / s),
}


@dataclasses.dataclass
class Layer:
    """An operator with parameters.

    Attributes
    ----------
    op, name : str
        MXNet's name of the operator, and that of the node.
    settings : dict
        What decides whether two layers do the same: kernel, stride, ...
    params : dict of str to str
        Role (``weight``, ``gamma``, ...) -> name of the parameter.
    inputs : str
        What it is fed with, written in terms of earlier layers.
    eps, fix_gamma : of a BatchNorm
    """

    op: str
    name: str
    settings: dict
    params: dict
    inputs: str
    eps: float = 0.0
    fix_gamma: bool = False


@dataclasses.dataclass
class Layers:
    """The layers of a graph in order of computation.

    Attributes
    ----------
    layers : list of Layer
    output : str
        The output, in terms of layers.
    mean, scale : float
        What the graph does to the pixels first: ``(x - mean) * scale``.
    inside : bool
        Whether it does anything to the pixels first.
    """

    layers: list[Layer]
    output: str
    mean: float
    scale: float
    inside: bool

    @property
    def linear(self) -> list[tuple[str, bool]]:
        """The weight of each linear layer, and whether a BatchNorm comes next."""
        normed = {layer.inputs for layer in self.layers if layer.op == "BatchNorm"}
        return [
            (layer.params["weight"], f"layer {number}" in normed)
            for number, layer in enumerate(self.layers, 1)
            if layer.op in LINEAR
        ]


def read_layers(graph: Graph) -> Layers:
    """Return the layers of a graph."""
    reader = _Reader(graph)
    output = reader.expression(graph.head[0])
    mean, scale = reader.pixels or (0.0, 1.0)
    return Layers(reader.layers, output, mean, scale, reader.pixels is not None)


def _settings(node: Node) -> dict:
    """Return the settings of a layer with MXNet's defaults filled in."""
    if node.op == "Convolution":
        kernel = node.integers("kernel")
        ones, zeros = (1,) * len(kernel), (0,) * len(kernel)
        return {
            "kernel": kernel,
            "stride": node.integers("stride") or ones,
            "pad": node.integers("pad") or zeros,
            "dilate": node.integers("dilate") or ones,
            "num_filter": int(node.value("num_filter", 0)),
            "num_group": int(node.value("num_group", 1)),
        }
    if node.op == "FullyConnected":
        return {"num_hidden": int(node.value("num_hidden", 0))}
    return {}


def _short(expression: str) -> str:
    """Return an expression, or its checksum if it is long: doubled 60 times it would not end."""
    if len(expression) <= MAX_EXPRESSION:
        return expression
    digest = hashlib.sha256(expression.encode()).hexdigest()
    return f"{expression[:SHOWN]}... ({digest[:16]})"


class _Reader:
    """Walks a graph from its output, inputs first."""

    def __init__(self, graph):
        self.layers, self.pixels = [], None
        self._depth, self._done = {}, {}
        for node in graph.nodes():  # layers on the longest way to each node
            before = max((self._depth[id(source)] for source, _ in node.inputs), default=0)
            self._depth[id(node)] = before + (node.op in ROLES)

    def expression(self, head):
        """Return a node's value in terms of layers; gathers the layers on the way."""
        pending = [head]  # long chains would exceed Python's recursion limit
        while pending:
            top = pending[-1]
            waiting = [node for node in self._order(top) if id(node) not in self._done]
            if waiting:
                pending.append(waiting[0])
            else:
                if id(top) not in self._done:
                    self._done[id(top)] = self._node(top)
                pending.pop()
        return self._done[id(head)]

    def _order(self, node):
        """Return the inputs of a node, longest way first where the order means nothing."""
        inputs = [source for source, _ in node.inputs]
        if node.op in ADD:
            inputs.sort(key=lambda source: -self._depth[id(source)])
        return inputs

    def _node(self, node):
        op = node.op
        inputs = [self._done[id(source)] for source in self._order(node)]
        if node.is_variable:
            return "pixels" if node.name == "data" else node.name
        if op in ROLES and not (op == "LeakyReLU" and node.attrs.get("act_type") != "prelu"):
            return self._layer(node, inputs[0])
        if op in NEUTRAL:
            return inputs[0]
        if op in SCALAR and inputs[0] == "pixels":
            scalar = float(node.attrs["scalar"])
            try:
                self.pixels = SCALAR[op](*(self.pixels or (0.0, 1.0)), scalar)
            except (ZeroDivisionError, OverflowError):
                raise DataError(
                    f"the graph makes nothing of its pixels: {node.name} is {op} of {scalar:g}"
                ) from None
            return "pixels"
        if op in ADD:
            return _short(f"add({', '.join(sorted(inputs))})")
        if op == "Activation":
            op = node.attrs.get("act_type")
        return _short(f"{op}({', '.join(inputs)})")

    def _layer(self, node, source):
        names = [variable.name for variable, _ in node.inputs[1:]]
        layer = Layer(
            node.op,
            node.name,
            _settings(node),
            dict(zip(ROLES[node.op], names)),
            source,
            eps=float(node.value("eps", 1e-3)),
            fix_gamma=node.flag("fix_gamma", True),
        )
        self.layers.append(layer)
        return f"layer {len(self.layers)}"
