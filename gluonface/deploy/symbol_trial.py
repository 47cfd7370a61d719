"""Whether a symbol of MXNet keeps the images of a batch apart, and in how much memory.

MXNet runs what a file says: a softmax over the images gives each a row that the others change, and
a Pad of 4096 takes gigabytes.
"""

from __future__ import annotations

import collections
import math
import typing

from ..errors import DataError, shown
from ..weights.graph import Graph
from ..weights.onnx.memory import MOST

__all__ = ["check_memory", "rows_are_independent"]

# Operators of which each row of the output is of the same row of the input, whatever their
# attributes are; and with parameters at all other places than the first.
_NAMES = """
    Activation Flatten Pooling Pooling_v1 Dropout _copy identity BlockGrad L2Normalization
    relu sigmoid hard_sigmoid tanh erf softsign clip exp log sqrt rsqrt square abs negative
    Cast cast amp_cast elemwise_add elemwise_sub elemwise_mul elemwise_div _plus _Plus add_n
    broadcast_add broadcast_sub broadcast_mul broadcast_div UpSampling
    _plus_scalar _minus_scalar _mul_scalar _div_scalar _maximum_scalar _minimum_scalar
    _PlusScalar _MinusScalar _MulScalar _DivScalar
"""
APART = frozenset(_NAMES.split())
WITH_PARAMETERS = {"Convolution", "FullyConnected", "BatchNorm", "BatchNorm_v1", "LeakyReLU"}
AXES = {"BatchNorm": ("axis", 1), "BatchNorm_v1": ("axis", 1), "Concat": ("dim", 1)}


def rows_are_independent(graph: Graph) -> bool:
    """Return whether each row of the output is known to be of one image alone.

    Parameters
    ----------
    graph : Graph
        Of a symbol whose output has a row for each image, for any number of them.
    """
    return all(node.is_variable or _is_apart(node) for node in graph.nodes())


def _is_apart(node):
    name, axis = AXES.get(node.op, ("", None))
    if node.value(name, axis) != axis:
        return False
    if node.op in ("Reshape", "reshape"):  # a 0 keeps an axis
        return node.integers("shape")[:1] == (0,) and not node.flag("reverse")
    if node.op in WITH_PARAMETERS:
        return all(source.is_variable and source.name != "data" for source, _ in node.inputs[1:])
    return node.op in APART or node.op == "Concat"


def check_memory(
    symbol: typing.Any, graph: Graph, shapes: dict[str, tuple[int, ...]], source: str
) -> None:
    """Raise DataError if a symbol would need more memory than networks do.

    Parameters
    ----------
    symbol : mx.sym.Symbol
    graph : Graph
        The same.
    shapes : dict of str to tuple of int
        Of its inputs, for one image.
    source : str
        For messages.
    """
    inner = symbol.get_internals()
    variables = {*symbol.list_arguments(), *symbol.list_auxiliary_states()}
    sizes: dict[str, int] = collections.Counter()
    for name, shape in zip(inner.list_outputs(), inner.infer_shape(**shapes)[1]):
        if name not in variables:  # a weight is conv0_weight, an output conv0_output
            sizes[name.rpartition("_")[0]] += math.prod(shape)  # of all outputs of a node
    nodes = [node for node in graph.nodes() if not node.is_variable]
    uses = collections.Counter(before.name for node in nodes for before, _ in node.inputs)
    kept = 0
    for node in nodes:
        kept += sizes[node.name]
        if kept > MOST:
            raise DataError(
                f"{node.op} {shown(node.name)} of {source} is reached with {kept} numbers in "
                f"memory for one image; at most {MOST} are expected"
            )
        for before, _ in node.inputs:
            uses[before.name] -= 1
            if not uses[before.name] and not before.is_variable:
                kept -= sizes[before.name]
