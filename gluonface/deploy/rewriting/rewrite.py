"""Change a graph so that MXNet 1.9.1 runs it without crashing, and faster. The outputs stay."""

from __future__ import annotations

import numpy as np

from ... import native
from ...nn.backend import has_onednn
from ...weights.folding import fold_batch_norms
from ...weights.graph import Graph
from .native_ops import join_depthwise, use_native_ops
from .onednn_ops import use_onednn_ops
from .prelu import fuse_prelu, split_prelu
from .workarounds import linear_to_conv, widen_batch_norms

__all__ = ["fold", "fuse", "infer_shapes", "rewrite"]

BACKEND = "MKLDNN"  # MXNet's name for its fusion of oneDNN operators
IDLE = ("Dropout", "BlockGrad", "_copy", "identity", "stop_gradient")  # in inference


def rewrite(symbol, args, auxs=None, input_size=(112, 112), fast=True):
    """Return a graph for inference with the same outputs.

    Parameters
    ----------
    symbol : mx.sym.Symbol
        Input ``data``.
    args, auxs : dict of str to numpy.ndarray
        Parameters, and auxiliary ones (BatchNorm's statistics).
    input_size : (int, int)
    fast : bool, default True
        Whether to change what a CPU does slowly: BatchNorms go into the convolutions before them,
        PReLUs and gates become operators of oneDNN. `fuse` joins those.

    Returns
    -------
    symbol : mx.sym.Symbol
    values : dict of str to numpy.ndarray
        All that the graph needs, auxiliary parameters included.
    """
    graph, values = Graph.from_symbol(symbol), {**args, **(auxs or {})}
    shapes = infer_shapes(symbol, values, input_size)
    widen_batch_norms(graph, shapes)
    if fast:
        onednn = has_onednn()
        _drop_idle(graph)
        fold_batch_norms(graph, values)
        if onednn:
            linear_to_conv(graph, values, shapes)
            if native.ready():
                of_two = infer_shapes(graph.to_symbol(), values, input_size, batch=2)
                use_native_ops(graph, of_two)
                join_depthwise(graph, values)
            use_onednn_ops(graph, values, shapes)
        users = graph.users()  # those of a node are the same until it is changed
        for node in graph.nodes():
            if node.op == "LeakyReLU" and node.attrs.get("act_type") == "prelu":
                _change_prelu(node, values, shapes.get(node.name, ()), users if onednn else None)
    return _result(graph, values)


def fold(symbol, args, auxs=None, input_size=(112, 112)):
    """Return the graph with its BatchNorms in the layers before them, operators unchanged.

    Parameters and results are those of `rewrite`.
    """
    graph, values = Graph.from_symbol(symbol), {**args, **(auxs or {})}
    shapes = infer_shapes(symbol, values, input_size)
    widen_batch_norms(graph, shapes)
    _drop_idle(graph)
    fold_batch_norms(graph, values)
    return _result(graph, values)


def _drop_idle(graph):
    """Remove operators that do nothing in inference.

    In one pass: `Graph.replace` looks for users in the whole graph, a minute for 6,000 of them.
    """
    before = {}  # id of an idle node: what it passes on
    for node in graph.nodes():
        node.inputs = [(before.get(id(s), s) if i == 0 else s, i) for s, i in node.inputs]
        source, index = node.inputs[0] if node.op in IDLE else (node, 0)
        if source is not node and index == 0 and not source.is_variable:
            before[id(node)] = source
    head, index = graph.head
    graph.head = (before.get(id(head), head) if index == 0 else head, index)


def _result(graph, values):
    symbol = graph.to_symbol()
    wanted = [*symbol.list_arguments(), *symbol.list_auxiliary_states()]
    return symbol, {name: values[name] for name in wanted if name in values}


def infer_shapes(symbol, values, input_size, batch=1):
    """Return the shapes by the nodes' names, for a batch of one or more.

    Of a node with several outputs by ``NAME_output0``, ...
    """
    internals = symbol.get_internals()
    known = {n: values[n].shape for n in symbol.list_inputs() if n in values}
    _, shapes, _ = internals.infer_shape(data=(batch, 3, *input_size), **known)
    shapes = zip(internals.list_outputs(), shapes)
    return {name[:-7] if name.endswith("_output") else name: shape for name, shape in shapes}


def _change_prelu(node, values, shape, users):
    """Write a PReLU with other operators; with oneDNN's if there are the users of all nodes."""
    variable = node.inputs[1][0]
    if len(shape) != 4 or not variable.is_variable:
        return
    slope = np.broadcast_to(values[variable.name], shape[1:2])
    if users is None or not fuse_prelu(node, values, slope, users):
        split_prelu(node, values, slope)


def fuse(symbol):
    """Join oneDNN operators: a convolution with the sum and the activation that follow.

    Raises
    ------
    mx.MXNetError
        If MXNet cannot, which only the attempt shows.
    """
    return symbol.get_backend_symbol(BACKEND)
