"""Change a graph so that MXNet 1.9.1 runs it without crashing, and faster. The outputs stay."""

from __future__ import annotations

import numpy as np

from ... import native
from ...nn.backend import has_onednn
from ...weights.graph import Graph
from .folding import drop_idle, fold_batch_norms, linear_to_conv, widen_batch_norm
from .native_ops import join_depthwise, take_products
from .onednn_ops import cheapen
from .prelu import fuse_prelu, split_prelu

__all__ = ["fold", "fuse", "infer_shapes", "rewrite"]

BACKEND = "MKLDNN"  # MXNet's name for its fusion of oneDNN operators


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
    graph, values = Graph(symbol), {**args, **(auxs or {})}
    shapes = infer_shapes(symbol, values, input_size)
    for node in graph.nodes():
        if node.op == "BatchNorm" and len(shapes.get(node.name, ())) == 2:
            widen_batch_norm(graph, node)
    if fast:
        onednn = has_onednn()
        drop_idle(graph)
        fold_batch_norms(graph, values)
        if onednn:
            linear_to_conv(graph, values, shapes)
            if native.ready():
                of_two = infer_shapes(graph.to_symbol(), values, input_size, batch=2)
                take_products(graph, of_two)
                join_depthwise(graph, values)
            cheapen(graph, values, shapes)
        for node in graph.nodes():
            if node.op == "LeakyReLU" and node.attrs.get("act_type") == "prelu":
                _change_prelu(graph, node, values, shapes.get(node.name, ()), onednn)
    return _result(graph, values)


def fold(symbol, args, auxs=None, input_size=(112, 112)):
    """Return the graph with its BatchNorms in the layers before them, operators unchanged.

    Parameters and results are those of `rewrite`.
    """
    graph, values = Graph(symbol), {**args, **(auxs or {})}
    shapes = infer_shapes(symbol, values, input_size)
    for node in graph.nodes():
        if node.op == "BatchNorm" and len(shapes.get(node.name, ())) == 2:
            widen_batch_norm(graph, node)
    drop_idle(graph)
    fold_batch_norms(graph, values)
    return _result(graph, values)


def _result(graph, values):
    symbol = graph.to_symbol()
    wanted = [*symbol.list_arguments(), *symbol.list_auxiliary_states()]
    return symbol, {name: values[name] for name in wanted if name in values}


def infer_shapes(symbol, values, input_size, batch=1):
    """Return the shapes by the nodes' names, for a batch of one or more."""
    internals = symbol.get_internals()
    known = {n: values[n].shape for n in symbol.list_arguments() if n in values}
    _, shapes, _ = internals.infer_shape(data=(batch, 3, *input_size), **known)
    shapes = zip(internals.list_outputs(), shapes)
    return {name[:-7] if name.endswith("_output") else name: shape for name, shape in shapes}


def _change_prelu(graph, node, values, shape, onednn):
    variable = node.inputs[1][0]
    if len(shape) != 4 or not variable.is_variable:
        return
    slope = np.broadcast_to(values[variable.name], shape[1:2])
    if not (onednn and fuse_prelu(node, values, slope, graph.users())):
        split_prelu(node, values, slope)


def fuse(symbol):
    """Join oneDNN operators: a convolution with the sum and the activation that follow.

    Raises
    ------
    mx.MXNetError
        If MXNet cannot; it does not know before.
    """
    return symbol.get_backend_symbol(BACKEND)
