"""Trainable parameters and operations of a network, counted from its symbol.

Published tables count in several ways. The conventions here are those of the tables from which the
networks come, so that their rows can be reproduced.
"""

from __future__ import annotations

import ast
import functools
import json
import math
import typing

from .._compat import mx
from ..errors import InputError

__all__ = ["CONVENTIONS", "count", "count_macs", "count_params"]

CONVENTIONS = {
    "macs": "multiply-accumulates of convolutions and linear layers",
    "cavaface": "FLOPs as cavaface counts them: 2 a multiply-accumulate, biases, 2 an element of a "
    "BatchNorm of a map, 1 of ReLU and PReLU, the windows of pooling",
    "mixfacenets": "as cavaface, plus BatchNorm of vectors, sigmoid, Swish and global means",
    "ptflops": "as arcface_torch counts, with ptflops: multiply-accumulates, 2 an element of a "
    "BatchNorm, 1 of ReLU, PReLU and pooling, and the products of attention",
}
FLAT = {"Reshape", "reshape", "Flatten"}


def count_params(net: mx.gluon.Block) -> int:
    """Return the number of trainable parameters of an initialised block.

    BatchNorm's running statistics, and a gamma or beta that is held fixed, have the `grad_req`
    "null" and do not count.
    """
    return sum(
        math.prod(parameter.shape)
        for parameter in net.collect_params().values()
        if parameter.grad_req != "null"
    )


def count_macs(net: typing.Any) -> int:
    """Return the multiply-accumulates of convolutions and linear layers for one image.

    Biases, BatchNorm and activations do not count.
    """
    return count(net, "macs")


def count(net: typing.Any, convention: str = "macs") -> int:
    """Return the operations of a network for one image, by one of `CONVENTIONS`.

    They are those of the graph in the PReLU form "plain". See `Backbone.count`.
    """
    if convention not in CONVENTIONS:
        raise InputError(
            f"unknown convention {convention!r}; expected one of {', '.join(CONVENTIONS)}"
        )
    symbol = net.to_symbol("plain")
    internals = symbol.get_internals()
    _, shapes, _ = internals.infer_shape(data=(1, 3, *net.cfg.input_size))
    shapes = dict(zip(internals.list_outputs(), shapes))
    nodes = json.loads(symbol.tojson())["nodes"]
    rules: dict[str, typing.Callable] = {
        "macs": _macs,
        "ptflops": _ptflops,
        "cavaface": functools.partial(_flops, everything=False),
        "mixfacenets": functools.partial(_flops, everything=True),
    }
    rule = rules[convention]
    return sum(rule(_Operation(node, nodes, shapes)) for node in nodes if node["op"] != "null")


class _Operation:
    """A node of the graph, and what it costs."""

    def __init__(self, node, nodes, shapes):
        self.op, self.attrs = node["op"], node.get("attrs", {})
        self.sources = [nodes[entry[0]] for entry in node["inputs"]]
        self._node, self._shapes = node, shapes

    def _shape(self, node, output=0):
        if node["op"] == "null":
            return self._shapes[node["name"]]
        for end in ("output", f"output{output}"):  # one output, or several
            if f"{node['name']}_{end}" in self._shapes:
                return self._shapes[f"{node['name']}_{end}"]
        return self._shapes.get(node["name"] + "_output0", (0,))

    @property
    def out(self):
        """Numbers in the output."""
        return math.prod(self._shape(self._node))

    @property
    def inputs(self):
        """Numbers in the first input."""
        return math.prod(self._shape(self.sources[0], self._node["inputs"][0][1]))

    @property
    def macs(self):
        """Multiply-accumulates of a convolution or linear layer."""
        # A weight is (outputs, inputs of one group, ...kernel): each output number costs the
        # product of all but the first.
        return self.out * math.prod(self._shape(self.sources[1])[1:])

    @property
    def product(self):
        """Multiply-accumulates of a product of two batches of matrices."""
        first = self._shape(self.sources[0], self._node["inputs"][0][1])
        inner = first[-2 if self.attrs.get("transpose_a") == "True" else -1]
        return self.out * inner

    @property
    def bias(self):
        """Additions of a bias."""
        return self.out if len(self.sources) > 2 else 0

    @property
    def kernel(self):
        return tuple(ast.literal_eval(self.attrs.get("kernel", "()")))

    @property
    def is_layer(self):
        return self.op in ("Convolution", "FullyConnected")

    @property
    def activation(self):
        """Kind of activation, such as "relu", or the operator's own name."""
        kind = self.op in ("Activation", "LeakyReLU") and self.attrs.get("act_type")
        return kind or self.op

    @property
    def is_global(self):
        return self.attrs.get("global_pool") == "True"

    @property
    def is_flat(self):
        """Whether a BatchNorm takes flat features: its input is reshaped, see FlatBatchNorm."""
        return self.sources[0]["op"] in FLAT


def _macs(operation):
    return operation.macs if operation.is_layer else 0


RELUS = ("relu", "prelu")


def _flops(operation, everything):
    if operation.is_layer:
        if len(operation.kernel) == 1:  # over the channels' means
            return 0
        return 2 * operation.macs + operation.bias
    if operation.op == "BatchNorm":
        return 2 * operation.inputs if everything or not operation.is_flat else 0
    if operation.activation in RELUS:
        return operation.inputs
    if operation.activation == "sigmoid":  # of Swish too
        return operation.inputs if everything else 0
    if operation.op == "Pooling":
        if operation.is_global:
            return operation.inputs if everything else 0
        return math.prod(operation.kernel) * operation.out
    return 0


def _ptflops(operation):
    if operation.is_layer:
        return operation.macs
    if operation.op == "BatchNorm":
        return 2 * operation.inputs
    if operation.activation in RELUS or operation.op == "Pooling":
        return operation.inputs
    return operation.product if operation.op == "batch_dot" else 0
