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

from ...weights.onnx_check import without_weights

__all__ = ["split_prelus"]

logger = logging.getLogger(__name__)


GRAPH, NODE, INITIALIZER = 7, 1, 5  # fields of ModelProto and GraphProto in onnx.proto
BYTES = 2  # what is written with its length before it


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
    if not factors_of:
        return content
    return _with_nodes(content, nodes, factors_of)


def _with_nodes(content, nodes, tensors):
    """Return a file with other nodes and more tensors, all else copied as bytes.

    To write the whole again takes half a second with 65 million numbers.
    """
    graphs = [field for field in _fields(content, 0, len(content)) if field[0] == GRAPH]
    if len(graphs) != 1:  # protobuf joins several, which no exporter writes
        return content
    _, first, start, stop = graphs[0]
    view = memoryview(content)
    parts = [_field(NODE, node.SerializeToString()) for node in nodes]
    parts += [_field(INITIALIZER, tensor.SerializeToString()) for tensor in tensors]
    parts += [
        view[begin:end] for number, begin, _, end in _fields(content, start, stop) if number != NODE
    ]
    head = _varint(GRAPH << 3 | BYTES) + _varint(sum(map(len, parts)))
    return b"".join((view[:first], head, *parts, view[stop:]))


def _fields(content, start, stop):
    """Yield (number, begin, begin of the value, end) of the fields of a protobuf message."""
    while start < stop:
        begin = start
        key, start = _read_varint(content, start)
        length = {0: 0, 1: 8, 5: 4}.get(key & 7)
        if key & 7 == BYTES:
            length, start = _read_varint(content, start)
        elif key & 7 == 0:
            _, start = _read_varint(content, start)
        yield key >> 3, begin, start, start + length
        start += length


def _read_varint(content, at):
    value = shift = 0
    while True:
        value |= (content[at] & 127) << shift
        at, shift = at + 1, shift + 7
        if content[at - 1] < 128:
            return value, at


def _varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes((*out, value))


def _field(number, content):
    return _varint(number << 3 | BYTES) + _varint(len(content)) + content


def _is_per_channel(slope):
    """Tell whether slopes are of the shape (C,1,1) or (1,C,1,1), float32."""
    shape = slope.shape[1:] if slope.ndim == 4 and slope.shape[0] == 1 else slope.shape
    return slope.dtype == np.float32 and len(shape) == 3 and shape[1:] == (1, 1)
