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


def split_prelus(model: typing.Any) -> typing.Any:
    """Write each PReLU of an ONNX network as ``relu(x) + (-a) relu(-x)``, to the bit the same.

    The factors -1 and -a are 1x1 convolutions of each channel by itself, which onnxruntime has for
    its blocked maps, fused with the ReLU and the sum. MobileFaceNet, one image, one thread of an
    AMD EPYC: 5.3 ms with onnxruntime 1.26 and 1.32; with PRelu 5.8 and 11.6 ms.

    Parameters
    ----------
    model : onnx.ModelProto
        Perhaps without the numbers of large tensors. It stays as it is.

    Returns
    -------
    onnx.ModelProto
        The same one where there is nothing to split, or no reason: on another machine than x86-64
        (onnxruntime has no blocked maps there), or in a network of 8 bits.
    """
    operators = {node.op_type for node in model.graph.node}
    if "PRelu" not in operators or "QuantizeLinear" in operators:
        return model
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return model
    import onnx

    try:
        inferred = onnx.shape_inference.infer_shapes(without_weights(onnx, model)).graph
    except Exception as error:  # onnxruntime decides what is a network; onnx's errors share no base
        logger.debug("PReLUs are not split: %s", error)
        return model
    graph = model.graph
    used = {node.input[1] for node in graph.node if node.op_type == "PRelu"}
    slopes = {
        value.name: onnx.numpy_helper.to_array(value)
        for value in graph.initializer
        if value.name in used and (value.raw_data or value.float_data)  # not of a large tensor
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
        return model
    split = onnx.ModelProto()
    split.CopyFrom(model)
    del split.graph.node[:]
    split.graph.node.extend(nodes)
    split.graph.initializer.extend(factors_of)
    return split


def _is_per_channel(slope):
    """Tell whether slopes are of the shape (C,1,1) or (1,C,1,1), float32."""
    shape = slope.shape[1:] if slope.ndim == 4 and slope.shape[0] == 1 else slope.shape
    return slope.dtype == np.float32 and len(shape) == 3 and shape[1:] == (1, 1)
