"""Steps of `rewrite` that replace layers by the operators of `gluonface.native`."""

from __future__ import annotations

import numpy as np

from ...weights.folding import constant

__all__ = ["join_depthwise", "use_native_ops"]

PRODUCTS = ("broadcast_mul", "elemwise_mul")
PRELU = "_gluonface_prelu"


def use_native_ops(graph, shapes):
    """Replace PReLUs, gates and products of maps.

    `shapes` are those of more than one image: a factor of each image differs from a shared one.
    """
    for node in graph.nodes():
        if len(node.inputs) != 2:
            continue
        one, two = (shapes.get(source.name, ()) for source, _ in node.inputs)
        if node.op == "LeakyReLU" and node.attrs.get("act_type") == "prelu" and len(one) == 4:
            node.op, node.attrs = PRELU, {}
        elif node.op in PRODUCTS and len(one) == len(two) == 4:
            if np.prod(one) < np.prod(two):
                one, two, node.inputs = two, one, node.inputs[::-1]
            if one == two:
                node.op, node.attrs = "_gluonface_product", {}
            elif two in ((*one[:2], 1, 1), (one[0], 1, *one[2:])):
                node.op, node.attrs = "_gluonface_gate", {}


def join_depthwise(graph, values):
    """Join depthwise convolutions with the PReLUs before and after them.

    A PReLU of its own reads and writes its map once more: with one image that took a fifth of
    MobileFaceNet's time.
    """
    users = graph.users()
    for layer in graph.nodes():
        stride = _stride(layer, values)
        if stride is None:
            continue
        source, following = layer.inputs[0], users.get(id(layer), [])
        before = source[0] if source[0].op == PRELU and len(users[id(source[0])]) == 1 else None
        after = following[0] if [node.op for node in following] == [PRELU] else None
        slopes = [_slopes(node, layer, values) for node in (before, after)]
        if (before is None and after is None) or any(s is None for s in slopes):
            continue
        count = int(layer.attrs["num_filter"])
        bias = layer.inputs[2] if len(layer.inputs) > 2 else None
        if bias is None:
            bias = (constant(f"{layer.name}_bias", np.zeros(count), values), 0)
        kernel = values[layer.inputs[1][0].name][:, 0].transpose(1, 2, 0)
        rest = {"kernel": kernel, "before": slopes[0], "after": slopes[1]}
        kernel, *ends = (
            (constant(f"{layer.name}_{name}", array, values), 0) for name, array in rest.items()
        )
        if before is not None:
            source = before.inputs[0]
            others = users[id(source[0])]
            users[id(source[0])] = [layer if node is before else node for node in others]
        layer.inputs = [source, kernel, bias, *ends]
        layer.op, layer.attrs = f"_gluonface_depthwise{stride}", {}
        if after is not None:
            graph.replace(after, layer, users)


def _slopes(prelu, layer, values):
    """Return one slope per channel, 1 without a PReLU; None if they are not known."""
    count = int(layer.attrs["num_filter"])
    if prelu is None:
        return np.ones(count)
    known = values.get(prelu.inputs[1][0].name)
    return None if known is None else np.broadcast_to(known, count)


def _stride(layer, values):
    """Return the stride of a convolution that the operator can take; else None."""
    if layer.op != "Convolution" or layer.inputs[1][0].name not in values:
        return None
    defaults = {"kernel": (), "stride": (1, 1), "pad": (0, 0), "dilate": (1, 1)}
    kernel, stride, pad, dilate = (layer.value(key, value) for key, value in defaults.items())
    count = int(layer.attrs["num_filter"])
    weight = values[layer.inputs[1][0].name]
    fits = (
        kernel in ((3, 3), (5, 5))
        and weight.shape == (count, 1, *kernel)
        and int(layer.attrs.get("num_group", 1)) == count
        and stride in ((1, 1), (2, 2))
        and pad == tuple(size // 2 for size in kernel)
        and dilate == (1, 1)
    )
    return stride[0] if fits else None
