"""The names that other toolkits give the tensors of our backbones, one file per toolkit.

To add a toolkit, write a file of functions that yield the pairs of names of one family of
backbones each, theirs and ours, and enter its `FAMILIES` here.
"""

from __future__ import annotations

import typing

import numpy as np

from ...errors import DataError, InputError
from . import adaface, arcface_torch, cavaface, mixfacenets, timm
from .groups import backbone_tensors

__all__ = ["FAMILIES", "TORCH_PIXELS", "find_family", "last_weight", "modules_of", "renamed"]

TORCH_PIXELS = {"mean": 127.5, "scale": 1 / 127.5}  # what the networks of these toolkits see
BATCH_NORM = {"weight": "gamma", "bias": "beta"}
# By the class of a backbone, or else by what its name begins with.
FAMILIES: dict[str, typing.Callable] = {
    **adaface.FAMILIES,
    **arcface_torch.FAMILIES,
    **cavaface.FAMILIES,
    **mixfacenets.FAMILIES,
    **timm.FAMILIES,
}


def find_family(net: typing.Any) -> typing.Callable | None:
    """Return the function that yields the names of a backbone's modules; None if none is known."""
    known = FAMILIES.get(type(net).__name__)
    return known or next((f for key, f in FAMILIES.items() if net.cfg.name.startswith(key)), None)


def modules_of(net: typing.Any, source: typing.Any) -> dict[str, typing.Any]:
    """Return {their name of a module: ours}; raise InputError if no naming is known."""
    family = find_family(net)
    if family is None:
        raise InputError(
            f"{source} is a PyTorch file; of those, the networks of arcface_torch, AdaFace, "
            f"CVLface, EdgeFace, timm-face, cavaface and MixFaceNets are known, not {net.cfg.name}"
        )
    return dict(family(net))


def last_weight(
    net: typing.Any, arrays: dict[str, np.ndarray], source: typing.Any, prefix: str | None = None
) -> np.ndarray | None:
    """Return the tensor of a state dict that makes the embedding; None if it is not there.

    Parameters
    ----------
    net : Backbone
        Of any embedding size; it needs no values.
    arrays, source, prefix
        As of `renamed`.
    """
    modules = modules_of(net, source)
    *_, key = (k for k in net._collect_params_with_prefix() if k.endswith(".weight"))
    tensors = _tensors(arrays, modules, source, prefix)
    ours = key.rpartition(".")[0]
    names = [f"{theirs}.weight" for theirs, target in modules.items() if target == ours]
    return next((tensors[name] for name in names if name in tensors), None)


def renamed(
    net: typing.Any, arrays: dict[str, np.ndarray], source: typing.Any, prefix: str | None = None
) -> dict[str, np.ndarray]:
    """Return the tensors of a state dict under our names.

    Parameters
    ----------
    net : Backbone
    arrays : dict of str to numpy.ndarray
        As `read_torch` gives them.
    source : str, pathlib.Path or Weights
        For messages.
    prefix : str, optional
        Of the network's tensors, where the file holds several networks; see `groups`.

    Returns
    -------
    dict of str to numpy.ndarray
        A tensor without a counterpart keeps its name.

    Raises
    ------
    InputError
        If no naming is known for this backbone, its preprocessing is not that of the source, or
        several networks of the file fit.
    DataError
        If a scale that the network holds at 1 is something else.
    """
    modules = modules_of(net, source)
    mean, scale = TORCH_PIXELS.values()
    if not np.allclose([net.cfg.mean, net.cfg.scale], [mean, scale], rtol=1e-6, atol=0):
        raise InputError(
            f"the network of {source} sees (x - {mean:g}) * {scale:.9g}, the model "
            f"(x - {net.cfg.mean:g}) * {net.cfg.scale:g}; build it with mean={mean:g}, "
            f"scale={scale:.9g}"
        )
    ours = net._collect_params_with_prefix()
    values: dict[str, np.ndarray] = {}
    groups: dict[str, dict[int, np.ndarray]] = {}
    for name, array in _tensors(arrays, modules, source, prefix).items():
        module, _, role = name.rpartition(".")
        if role == "num_batches_tracked":
            continue
        target: typing.Any = modules.get(name) or modules.get(module)
        if isinstance(target, tuple):
            target, number = target
            groups.setdefault(f"{target}.{role}", {})[number] = array
            continue
        key = target if name in modules else _key(target, role, ours)
        parameter = ours.get(key)
        if parameter is None:
            values[name] = array
            continue
        fixed = key.endswith("gamma") and parameter.grad_req == "null"
        if fixed and not (array == 1).all():
            raise DataError(f"the tensor {name!r} of {source} is not 1, as {net.cfg.name} has it")
        values[key] = _reshaped(array, parameter.shape)
    for key, found in groups.items():
        values[key] = np.concatenate([found[number] for number in sorted(found)])
    return {**_not_affine(values, ours), **values}


def _tensors(arrays, modules, source, prefix):
    """Return the tensors of the backbone, low-rank layers multiplied where it has full ones."""
    pairs = (f"{name}.{part}" for name in modules for part in timm.LOW_RANK)
    tensors = backbone_tensors(arrays, {*modules, *pairs}, source, prefix)
    return timm.multiplied(tensors, modules)


def _key(module, role, ours):
    """Return our name of a parameter."""
    if f"{module}.running_mean" in ours or f"{module}.gamma" in ours:
        role = BATCH_NORM.get(role, role)
    elif f"{module}.alpha" in ours and role == "weight":
        role = "alpha"
    return f"{module}.{role}"


def _reshaped(array, shape):
    """Return a linear layer's weight as that of a 1x1 convolution, or the reverse."""
    shorter, longer = sorted((array.shape, tuple(shape)), key=len)
    return array.reshape(shape) if longer == (*shorter, 1, 1) else array


def _not_affine(values, ours):
    """Return gamma and beta, 1 and 0, of the BatchNorms of which there are statistics alone."""
    added = {}
    for key in values:
        module, _, role = key.rpartition(".")
        names = f"{module}.gamma", f"{module}.beta"
        if role == "running_mean" and key in ours and not set(names) & set(values):
            added[names[0]], added[names[1]] = np.ones_like(values[key]), np.zeros_like(values[key])
    return added
