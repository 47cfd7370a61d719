"""Read MXNet symbol graphs as the sequence of their layers with weights.

Two graphs of the same network can have other names, neutral operators in between, and their
nodes in another order. What stays is which layer feeds which; that is what is compared here.
"""

import ast
import dataclasses
import json

from ..errors import DataError

__all__ = ["Graph", "Layer", "read_graph"]

# operator -> roles of its parameters after the data input
ROLES = {
    "Convolution": ("weight", "bias"),
    "FullyConnected": ("weight", "bias"),
    "BatchNorm": ("gamma", "beta", "running_mean", "running_var"),
    "LeakyReLU": ("alpha",),
}
# Operators that change nothing in inference but, at most, how the numbers are laid out.
NEUTRAL = {"Flatten", "Reshape", "reshape", "Dropout", "_copy", "identity", "BlockGrad", "Cast"}
ADD = {"elemwise_add", "broadcast_add", "_plus", "_Plus", "_add", "add_n", "ElementWiseSum"}
SCALAR = {
    "_minus_scalar": lambda scale, shift, s: (scale, shift - s),
    "_plus_scalar": lambda scale, shift, s: (scale, shift + s),
    "_mul_scalar": lambda scale, shift, s: (scale * s, shift * s),
    "_div_scalar": lambda scale, shift, s: (scale / s, shift / s),
}
LEGACY = {"_MinusScalar": "_minus_scalar", "_MulScalar": "_mul_scalar"}


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
class Graph:
    """Layers in order of computation.

    Attributes
    ----------
    layers : list of Layer
    output : str
        The output, in terms of layers.
    mean, scale : float
        What is done to the pixels first: ``(x - mean) * scale``.
    known : set of str
        Names of all parameters in the file, those after the output included.
    inside : bool
        Whether the graph itself does that to the pixels.
    unused : list of str
        Tensors of an ONNX file that its graph does not use.
    """

    layers: list
    output: str
    mean: float
    scale: float
    known: set
    inside: bool
    unused: list


def _value(attrs, key, default):
    text = attrs.get(key)
    if text is None:
        return default
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _settings(op, attrs):
    """Return the settings of a layer with MXNet's defaults filled in."""
    if op == "Convolution":
        kernel = tuple(_value(attrs, "kernel", ()))
        ones, zeros = (1,) * len(kernel), (0,) * len(kernel)
        return {
            "kernel": kernel,
            "stride": tuple(_value(attrs, "stride", ones)) or ones,
            "pad": tuple(_value(attrs, "pad", zeros)) or zeros,
            "dilate": tuple(_value(attrs, "dilate", ones)) or ones,
            "num_filter": int(_value(attrs, "num_filter", 0)),
            "num_group": int(_value(attrs, "num_group", 1)),
        }
    if op == "FullyConnected":
        return {"num_hidden": int(_value(attrs, "num_hidden", 0))}
    return {}


def read_graph(text, where, output="fc1"):
    """Read the JSON of a symbol.

    Parameters
    ----------
    text : str
    where : str
        Name of the file for messages.
    output : str, default "fc1"
        Node to take as the output if there is one of that name, so that the classifier after it
        in a training checkpoint is left out; otherwise the graph's only output is taken.

    Returns
    -------
    Graph

    Raises
    ------
    DataError
        If it is not a symbol's JSON, has several outputs and no `output`, or holds an operator
        with parameters that is not known here.
    """
    try:
        parsed = json.loads(text)
        nodes, heads = parsed["nodes"], parsed["heads"]
        named = [i for i, node in enumerate(nodes) if node["name"] == output]
        head = named[0] if named else heads[0][0]
        reader = _Reader(nodes, where)
        if not named and len(heads) != 1:
            raise DataError(f"{where} has {len(heads)} outputs and none named {output!r}")
        expression = reader.expression(head)
    except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise DataError(
            f"{where} is not an MXNet symbol ({type(error).__name__}: {error}); "
            "expected the JSON that Symbol.save or HybridBlock.export writes"
        ) from None
    scale, shift = reader.pixels or (1.0, 0.0)
    known = {node["name"] for node in nodes if node["op"] == "null"}
    inside = reader.pixels is not None
    unused = parsed.get("unused", [])
    return Graph(reader.layers, expression, -shift / scale, scale, known, inside, unused)


class _Reader:
    """Walks a graph from its output, inputs first."""

    def __init__(self, nodes, where):
        self.nodes, self.where = nodes, where
        self.layers, self.pixels = [], None
        self._depth, self._done = self._depths(), {}

    def _depths(self):
        """Return how many layers lie on the longest way to each node."""
        depths = []
        for node in self.nodes:  # a symbol's file lists the inputs of a node before it
            before = max((depths[i[0]] for i in node["inputs"]), default=0)
            depths.append(before + (node["op"] in ROLES))
        return depths

    def expression(self, index):
        """Return a node's value in terms of layers; gathers the layers on the way."""
        if index in self._done:
            return self._done[index]
        # Long chains would exceed Python's recursion limit: do what is below first.
        pending = [index]
        while pending:
            top = pending[-1]
            waiting = [i for i in self._order(top) if i not in self._done]
            if waiting:
                pending.append(waiting[0])
            else:
                self._done.setdefault(top, self._node(top))
                pending.pop()
        return self._done[index]

    def _order(self, index):
        """Return the inputs of a node, longest way first where the order means nothing."""
        node = self.nodes[index]
        inputs = [entry[0] for entry in node["inputs"]]
        if node["op"] in ADD:
            inputs.sort(key=lambda i: -self._depth[i])
        return inputs

    def _node(self, index):
        node = self.nodes[index]
        op = LEGACY.get(node["op"], node["op"])
        attrs = node.get("attrs") or node.get("attr") or node.get("param") or {}
        inputs = [self._done[i] for i in self._order(index)]
        if op == "null":
            return "pixels" if node["name"] == "data" else node["name"]
        if op in ROLES and not (op == "LeakyReLU" and attrs.get("act_type") != "prelu"):
            return self._layer(node, op, attrs, inputs[0])
        if op in NEUTRAL:
            return inputs[0]
        if op in SCALAR and inputs[0] == "pixels":
            self.pixels = SCALAR[op](*(self.pixels or (1.0, 0.0)), float(attrs["scalar"]))
            return "pixels"
        if op in ADD:
            return f"add({', '.join(sorted(inputs))})"
        if op == "Activation":
            op = attrs.get("act_type")
        return f"{op}({', '.join(inputs)})"

    def _layer(self, node, op, attrs, source):
        names = [self.nodes[entry[0]]["name"] for entry in node["inputs"][1:]]
        layer = Layer(
            op,
            node["name"],
            _settings(op, attrs),
            dict(zip(ROLES[op], names)),
            source,
            eps=float(_value(attrs, "eps", 1e-3)),
            fix_gamma=str(_value(attrs, "fix_gamma", True)) in ("True", "1"),
        )
        self.layers.append(layer)
        return f"layer {len(self.layers)}"
