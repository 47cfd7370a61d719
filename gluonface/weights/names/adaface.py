"""What AdaFace and CVLface call the modules of their IR networks.

`FAMILIES` has the function that yields pairs of names of a module with tensors: theirs, and ours.
Their units are counted through all stages; SE stands beside the numbered layers.
"""

from __future__ import annotations

import re
import typing

from .modules import FIRST, same, se

__all__ = ["FAMILIES", "is_adaface", "own_checkpoint"]

UNIT = ("bn1", "conv1", "bn2", "prelu", "conv2", "bn3")
# The BatchNorm between the first convolution and the PReLU; cavaface's units have none there.
SECOND_NORM = re.compile(r"(?P<prefix>.*)body\.0\.res_layer\.2\.running_mean$")


def _prefix(names):
    found = (SECOND_NORM.match(name) for name in names)
    return next((match["prefix"] for match in found if match), None)


def is_adaface(names: typing.Iterable[str]) -> bool:
    """Whether tensors of these names are of AdaFace's or CVLface's IR."""
    return _prefix(names) is not None


def own_checkpoint(names: typing.Iterable[str]) -> bool:
    """Whether they are from a checkpoint of AdaFace's own training, which takes BGR.

    It keeps the network as ``model``. CVLface, whose networks take either order, has ``net`` in it.
    """
    return _prefix(names) == "model."


def _adaface(net):
    """Yield the names of AdaFace's IR and IR-SE."""
    yield from same("input_layer", "stem", FIRST[:3])
    units = [f"stages.{s}.{u}" for s, stage in enumerate(net.stages) for u in range(len(stage))]
    for i, ours in enumerate(units):
        for place, part in enumerate(UNIT):
            yield f"body.{i}.res_layer.{place}", f"{ours}.{part}"
        yield from se(f"body.{i}.res_layer.se_block", f"{ours}.se", "fc1", "fc2")
        yield from same(f"body.{i}.shortcut_layer", f"{ours}.shortcut", FIRST[:2])
    for place, part in (("0", "bn1"), ("3", "fc"), ("4", "bn2")):
        yield f"output_layer.{place}", f"head.{part}"


FAMILIES = {"AdaFaceIR": _adaface}
