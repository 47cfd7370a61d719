"""Settings of a network's BatchNorms that are those of imported weights, not the architecture's."""

from __future__ import annotations

import collections
import dataclasses
import typing

import numpy as np

from .._compat import mx
from ..errors import InputError, shown

__all__ = [
    "BatchNormSettings",
    "adopt_batch_norms",
    "batch_norms",
    "check_batch_norms",
    "set_batch_norms",
]

# Name of a block, or ALL -> {"eps": number, "fix_gamma": true}
BatchNormSettings = dict[str, dict[str, typing.Any]]
ALL = "*"
FORM = '{name of a BatchNorm, or "*": {"eps": a number above 0, at most 1, "fix_gamma": true}}'


def batch_norms(net: typing.Any) -> dict[str, typing.Any]:
    """Return the BatchNorms of a network by their names in it, such as ``head.bn2``."""
    found = {}

    def walk(block, prefix):
        for name, child in block._children.items():
            if isinstance(child, mx.gluon.nn.BatchNorm):
                found[f"{prefix}{name}"] = child
            walk(child, f"{prefix}{name}.")

    walk(net, "")
    return found


def check_batch_norms(settings: typing.Any) -> bool:
    """Return whether a value has the form of `BatchNormSettings`."""

    def is_eps(value):
        return type(value) in (int, float) and 0 < value <= 1

    checks = {"eps": is_eps, "fix_gamma": lambda value: type(value) is bool}
    return isinstance(settings, dict) and all(
        isinstance(name, str)
        and isinstance(entry, dict)
        and all(key in checks and checks[key](value) for key, value in entry.items())
        for name, entry in settings.items()
    )


def set_batch_norms(net: typing.Any, settings: BatchNormSettings) -> None:
    """Give the BatchNorms of a network another eps, or hold their gammas at 1.

    ``net.cfg.batch_norm`` becomes `settings`. A hybridized network is traced again.

    Parameters
    ----------
    net : Backbone
    settings : dict of str to dict
        Name of a BatchNorm in the network -> ``eps``, ``fix_gamma`` or both. What stands under
        ``"*"`` is for all that do not say otherwise.

    Raises
    ------
    InputError
        If it has another form, or there is no such BatchNorm.
    """
    if not check_batch_norms(settings):
        raise InputError(f"batch_norm is {shown(settings)}; expected {FORM}")
    blocks = batch_norms(net)
    unknown = sorted(set(settings) - {ALL} - set(blocks))
    if unknown:
        raise InputError(
            f"batch_norm names {shown(unknown[0])}, and {net.cfg.name} has no such BatchNorm; its "
            f"last one is {list(blocks)[-1]}"
            if blocks
            else f"batch_norm names {shown(unknown[0])}, and {net.cfg.name} has no BatchNorm"
        )
    for name, block in blocks.items():
        entry = {**settings.get(ALL, {}), **settings.get(name, {})}
        block._kwargs.update(entry)
        if entry.get("fix_gamma"):
            block.gamma.grad_req = "null"
    net.apply(lambda block: getattr(block, "_clear_cached_op", lambda: None)())
    net.cfg = dataclasses.replace(net.cfg, batch_norm=settings)


def adopt_batch_norms(net: typing.Any, eps: dict[str, float], fixed: set[str]) -> None:
    """Give the BatchNorms of a network the settings of others, if these differ.

    Parameters
    ----------
    net : Backbone
    eps : dict of str to float
        Of some or all BatchNorms.
    fixed : set of str
        Those whose gamma is held at 1. What the architecture itself holds stays held.
    """
    blocks = batch_norms(net)
    # ONNX has float32: 0.00001 is 9.99999975e-06 there.
    theirs = {name: float(str(np.float32(value))) for name, value in eps.items()}
    now = {name: float(block._kwargs["eps"]) for name, block in blocks.items()}
    held = {name for name, block in blocks.items() if block._kwargs["fix_gamma"]}
    wanted = {**now, **theirs}
    if wanted == now and fixed <= held:
        return
    usual = collections.Counter(wanted.values()).most_common(1)[0][0]
    settings: BatchNormSettings = {ALL: {"eps": usual}}
    for name in blocks:
        entry: dict[str, typing.Any] = {}
        if wanted[name] != usual:
            entry["eps"] = wanted[name]
        if name in held | fixed:
            entry["fix_gamma"] = True
        if entry:
            settings[name] = entry
    set_batch_norms(net, settings)
