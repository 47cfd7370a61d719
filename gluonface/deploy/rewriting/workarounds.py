"""Steps of `rewrite` without which MXNet 1.9.1 fails."""

from __future__ import annotations

from ...weights.folding import WIDE, constant
from ...weights.graph import Node

__all__ = ["linear_to_conv", "widen_batch_norms"]


def widen_batch_norms(graph, shapes):
    """Run each BatchNorm of a flat (N,C) input on (N,C,1,1).

    MXNet's oneDNN BatchNorm ends the process in inference when it meets a flat input after a
    (N,C,1,1) one of the same size, anywhere in the process.
    """
    users = graph.users()
    for norm in graph.nodes():
        if norm.op == "BatchNorm" and len(shapes.get(norm.name, ())) == 2:
            wide = Node("Reshape", f"{norm.name}_4d", {"shape": WIDE}, [norm.inputs[0]])
            flat = Node("Flatten", f"{norm.name}_flat", {}, [(norm, 0)])
            graph.replace(norm, flat, users)
            norm.inputs[0] = (wide, 0)


def linear_to_conv(graph, values, shapes):
    """Write linear layers of (N,C,1,1) as 1x1 convolutions.

    MXNet's fused linear layer fails in a graph with planned memory when its input is in oneDNN's
    layout ("We can't generate TBlob for MKLDNN data").
    """
    for node in graph.nodes():
        if node.op != "FullyConnected" or not node.flag("flatten", True):
            continue
        source = node.inputs[0]
        if source[0].op in ("Flatten", "flatten"):
            source = source[0].inputs[0]
        shape = shapes.get(source[0].name)
        weight = node.array(1, values)
        if shape is None or len(shape) != 4 or shape[2:] != (1, 1) or weight is None:
            continue
        kernel = constant(f"{node.name}_4d", weight[:, :, None, None], values)
        attrs = {
            "kernel": "(1, 1)",
            "num_filter": str(len(weight)),
            "no_bias": str(len(node.inputs) < 3),
        }
        conv = Node("Convolution", f"{node.name}_conv", attrs, [source, (kernel, 0)])
        conv.inputs += node.inputs[2:]
        name, node.name = node.name, f"{node.name}_linear"
        graph.replace(node, Node("Flatten", name, {}, [(conv, 0)]))
