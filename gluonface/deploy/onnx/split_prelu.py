"""PReLU as operators that onnxruntime computes in its own memory layout on x86-64.

onnxruntime keeps the maps between convolutions in blocks of channels. Its PRelu cannot read these:
the map is copied out and back around each, and since onnxruntime 1.27 PRelu itself takes ten times
as long. A file holds PRelu all the same, which other tools know: only `OnnxEngine` splits it.
"""

from __future__ import annotations

import logging
import platform
import typing

import numpy as np

from ...weights.onnx.wire_format import (
    GRAPH,
    INITIALIZER,
    NODE,
    encode_field,
    encode_head,
    read_fields,
)
from ...weights.onnx_check import without_weights

__all__ = ["split_prelus"]

logger = logging.getLogger(__name__)


def split_prelus(content: bytes, model: typing.Any = None) -> bytes:
    """Write each PReLU of an ONNX file as ``relu(x) + (-a) relu(-x)``, to the bit the same.

    The factors -1 and -a are 1x1 convolutions of each channel by itself, which onnxruntime has for
    its blocked maps, fused with the ReLU and the sum. MobileFaceNet, one image, one thread of an
    AMD EPYC: 5.3 ms with onnxruntime 1.26 and 1.32; with PRelu 5.8 and 11.6 ms.

    Parameters
    ----------
    content : bytes
        Of the file.
    model : onnx.ModelProto, optional
        The same, where it has been parsed. It stays as it is.

    Returns
    -------
    bytes
        The same content where there is nothing to split, or no reason: without onnx, on another
        machine than x86-64 (onnxruntime has no blocked maps there), in a file of 8 bits, with
        weights in other files, or one that onnx cannot read.
    """
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return content
    try:
        import onnx

        model = onnx.load_from_string(content) if model is None else model
        inferred = onnx.shape_inference.infer_shapes(without_weights(onnx, model)).graph
    except Exception as error:  # onnxruntime decides what is a network; onnx's errors share no base
        logger.debug("PReLUs are not split: %s", error)
        return content
    graph = model.graph
    operators = {node.op_type for node in graph.node}
    external = any(v.data_location == onnx.TensorProto.EXTERNAL for v in graph.initializer)
    if "PRelu" not in operators or "QuantizeLinear" in operators or external:
        return content
    used = {node.input[1] for node in graph.node if node.op_type == "PRelu"}
    slopes = {
        value.name: onnx.numpy_helper.to_array(value)
        for value in graph.initializer
        if value.name in used
    }
    shapes = {
        value.name: [size.dim_value for size in value.type.tensor_type.shape.dim]
        for value in [*inferred.input, *inferred.value_info]
    }
    nodes: list[typing.Any] = []
    factors_of: list[typing.Any] = []
    for number, node in enumerate(graph.node):
        slope = slopes.get(node.input[1]) if node.op_type == "PRelu" else None
        shape = [] if slope is None else shapes.get(node.input[0], [])
        if slope is None or not _is_per_channel(slope) or len(shape) != 4 or not shape[1]:
            nodes.append(node)
            continue
        a = np.broadcast_to(slope.reshape(-1, 1, 1, 1), (shape[1], 1, 1, 1))  # or one for all
        made = [
            f"gluonface_{number}_{part}" for part in ("one", "slopes", "up", "neg", "low", "sum")
        ]
        one, factors, up, negative, low, down = made
        factors_of += [
            onnx.numpy_helper.from_array(-np.ones_like(a), one),
            onnx.numpy_helper.from_array(-a, factors),
        ]
        make = onnx.helper.make_node
        each: dict[str, typing.Any] = {"group": len(a), "kernel_shape": [1, 1]}
        nodes += [
            make("Relu", [node.input[0]], [up]),
            make("Conv", [node.input[0], one], [negative], **each),
            make("Relu", [negative], [low]),
            make("Conv", [low, factors], [down], **each),
            make("Add", [up, down], node.output),
        ]
    try:
        return _with_nodes(content, nodes, factors_of) if factors_of else content
    except ValueError as error:  # onnx passes over what it does not know
        logger.debug("PReLUs are not split: %s", error)
        return content


def _with_nodes(content, nodes, tensors):
    """Return a file with other nodes and more tensors; all else is copied as bytes."""
    graphs = [field for field in read_fields(content) if field.number == GRAPH]
    if len(graphs) != 1:  # protobuf joins several, which no exporter writes
        return content
    (graph,) = graphs
    view = memoryview(content)
    parts = [encode_field(NODE, node.SerializeToString()) for node in nodes]
    parts += [encode_field(INITIALIZER, tensor.SerializeToString()) for tensor in tensors]
    parts += [
        view[field.begin : field.end]
        for field in read_fields(content, graph.value, graph.end)
        if field.number != NODE
    ]
    head = encode_head(GRAPH, sum(map(len, parts)))
    return b"".join((view[: graph.begin], head, *parts, view[graph.end :]))


def _is_per_channel(slope):
    """Tell whether slopes are of the shape (C,1,1) or (1,C,1,1), float32."""
    shape = slope.shape[1:] if slope.ndim == 4 and slope.shape[0] == 1 else slope.shape
    return slope.dtype == np.float32 and len(shape) == 3 and shape[1:] == (1, 1)
