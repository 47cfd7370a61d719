"""What timm calls the modules of EdgeFace's and timm-face's networks; see `cavaface`.

EdgeFace keeps timm's network as ``model``, timm-face's training as ``backbone``.
"""

from __future__ import annotations

import typing

import numpy as np

from .arcface_torch import vit_blocks
from .modules import same

__all__ = ["FAMILIES", "LOW_RANK", "multiplied"]

LOW_RANK = ("linear1", "linear2")


def _linear(theirs, ours, layer):
    """Yield the modules of a linear layer, or of the two narrow ones in its place."""
    if hasattr(layer, "weight"):
        yield theirs, ours
    else:
        yield from same(theirs, ours, LOW_RANK)


def _stages(net):
    """Yield the names of ConvNeXt and of EdgeNeXt."""
    yield from same("stem", "stem", ("0", "1"))
    for s, stage in enumerate(net.stages):
        first = 2 * hasattr(stage[0], "gamma")  # a LayerNorm and a convolution
        if first:
            yield from same(f"stages.{s}.downsample", f"stages.{s}", ("0", "1"))
        for place in range(first, len(stage)):
            theirs, ours = f"stages.{s}.blocks.{place - first}", f"stages.{s}.{place}"
            yield from _block(theirs, ours, stage[place])
    yield "head.norm", "head.norm"
    yield from _linear("head.fc", "head.fc", net.head.fc)


def _block(theirs, ours, block):
    names = {"conv_dw": "conv"}
    if hasattr(block, "xca"):
        names = {f"convs.{i}": f"convs.{i}" for i in range(len(block.convs))}
        names.update({"pos_embd.token_projection": "positions", "norm_xca": "norm_xca"})
        names.update({"gamma_xca": "scale_xca.gamma", "xca.temperature": "xca.temperature"})
        for part in ("qkv", "proj"):
            layer = getattr(block.xca, part)
            yield from _linear(f"{theirs}.xca.{part}", f"{ours}.xca.{part}", layer)
    names.update({"norm": "norm", "gamma": "scale.gamma"})
    for name, part in names.items():
        yield f"{theirs}.{name}", f"{ours}.{part}"
    for part in ("fc1", "fc2"):
        layer = getattr(block.mlp, part)
        yield from _linear(f"{theirs}.mlp.{part}", f"{ours}.mlp.{part}", layer)


def _vit(net):
    yield from {"cls_token": "class_token", "pos_embed": "positions"}.items()
    yield "patch_embed.proj", "patches"
    yield from vit_blocks(net)
    # timm calls it so where it follows a mean.
    yield "norm" if net.class_token is not None else "fc_norm", "norm"
    yield "head", "fc"


def multiplied(
    tensors: dict[str, np.ndarray], modules: typing.Collection[str]
) -> dict[str, np.ndarray]:
    """Return the tensors with each pair of low-rank layers that a network has as one multiplied.

    Parameters
    ----------
    tensors : dict of str to numpy.ndarray
        ``X.linear1.weight`` (rank, inputs), ``X.linear2.weight`` (outputs, rank) and
        ``X.linear2.bias``, where `X` but no `X.linear1` is one of the modules.
    modules : collection of str
        Their names of the modules of our network.
    """
    result = dict(tensors)
    for name, first in tensors.items():
        layer, found, end = name.rpartition(".linear1.weight")
        second = tensors.get(f"{layer}.linear2.weight")
        whole = found and not end and layer in modules and f"{layer}.linear1" not in modules
        if not whole or second is None or first.ndim != 2 or second.ndim != 2:
            continue
        if second.shape[1] != len(first):
            continue  # the comparison of names will tell
        product = second.astype(np.float64) @ first.astype(np.float64)
        result[f"{layer}.weight"] = product.astype(np.float32)
        for part in ("linear1.weight", "linear2.weight"):
            del result[f"{layer}.{part}"]
        if f"{layer}.linear2.bias" in result:
            result[f"{layer}.bias"] = result.pop(f"{layer}.linear2.bias")
    return result


# By the class of a backbone.
FAMILIES = {"ConvNeXt": _stages, "EdgeFace": _stages, "TimmFaceViT": _vit}
