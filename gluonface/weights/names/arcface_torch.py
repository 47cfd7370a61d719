"""What other projects' PyTorch networks call the tensors of our backbones."""

import numpy as np

from ...errors import DataError, InputError
from . import cavaface

__all__ = ["SCALE", "renamed"]

SCALE = 1 / 127.5  # of the pixels, after 127.5 is subtracted
BATCH_NORM = {"weight": "gamma", "bias": "beta"}
LINES = ("layers.0", "layers.1", "layers.2")


def _iresnet(net):
    """Yield the names of arcface_torch's IResNet, theirs and ours."""
    yield from {"conv1": "stem.0", "bn1": "stem.1", "prelu": "stem.2"}.items()
    for s, stage in enumerate(net.stages):
        for u in range(len(stage)):
            theirs, ours = f"layer{s + 1}.{u}", f"stages.{s}.{u}"
            for part in ("bn1", "conv1", "bn2", "prelu", "conv2", "bn3"):
                yield f"{theirs}.{part}", f"{ours}.{part}"
            yield f"{theirs}.downsample.0", f"{ours}.shortcut.0"
            yield f"{theirs}.downsample.1", f"{ours}.shortcut.1"
    yield from {"bn2": "head.bn1", "fc": "head.fc", "features": "head.bn2"}.items()


def _mbf(net):
    """Yield the names of arcface_torch's mbf and mbf_large."""

    def unit(theirs, ours):
        return zip((f"{theirs}.{n}" for n in LINES), (f"{ours}.{n}" for n in ("conv", "bn", "act")))

    large = hasattr(net.stages[0], "conv")  # else the stem and the second convolution are one stage
    if large:
        yield from unit("layers.0", "stages.0")
    else:
        yield from unit("layers.0", "stages.0.0")
        yield from unit("layers.1", "stages.0.1")
    counts = (2, 1, 8, 1, 12, 1, 4) if large else (0, 1, 4, 1, 6, 1, 2)
    place = 1
    for number, count in enumerate(counts, 1):
        for i in range(count):
            theirs = f"layers.{number}" + (f".layers.{i}" if number % 2 else "")
            for block in range(3):
                yield from unit(f"{theirs}.layers.{block}", f"stages.{place}.{block}")
            place += 1
    yield from unit("conv_sep", "head.final")
    pairs = {"0.layers.0": "conv", "0.layers.1": "bn1", "2": "fc", "3": "bn2"}
    for name, part in pairs.items():
        yield f"features.layers.{name}", f"head.gdc.{part}"


def _vit(net):
    """Yield the names of arcface_torch's vision transformers."""
    yield from {"pos_embed": "positions", "mask_token": "mask_token"}.items()
    yield from {"patch_embed.proj": "patches", "norm": "norm"}.items()
    names = {"norm1": "norm1", "norm2": "norm2", "mlp.fc1": "fc1", "mlp.fc2": "fc2"}
    names.update({"attn.qkv": "attention.qkv", "attn.proj": "attention.proj"})
    for i in range(len(net.blocks)):
        for name, part in names.items():
            yield f"blocks.{i}.{name}", f"blocks.{i}.{part}"
    for i, part in enumerate(("fc1", "bn1", "fc2", "bn2")):
        yield f"feature.{i}", part


# By the class of a backbone, or else by what its name begins with.
FAMILIES = {
    "IResNet": _iresnet,
    "VisionTransformer": _vit,
    "mbf": _mbf,
    **cavaface.FAMILIES,
}


def renamed(net, arrays, source):
    """Return the tensors of a state dict under our names.

    Parameters
    ----------
    net : Backbone
    arrays : dict of str to numpy.ndarray
        As `read_torch` gives them.
    source : str or pathlib.Path
        For messages.

    Returns
    -------
    dict of str to numpy.ndarray
        A tensor without a counterpart keeps its name.

    Raises
    ------
    InputError
        If no naming is known for this backbone, or its preprocessing is not that of the source.
    DataError
        If a scale that the network holds at 1 is something else.
    """
    name = net.cfg.name
    family = FAMILIES.get(type(net).__name__)
    family = family or next((f for key, f in FAMILIES.items() if name.startswith(key)), None)
    if family is None:
        raise InputError(
            f"{source} is a PyTorch file; of those, the networks of arcface_torch, cavaface and "
            f"MixFaceNets are known, not {name}"
        )
    if not np.allclose([net.cfg.mean, net.cfg.scale], [127.5, SCALE], rtol=1e-6, atol=0):
        raise InputError(
            f"the network of {source} sees (x - 127.5) * {SCALE:.9g}, the model "
            f"(x - {net.cfg.mean:g}) * {net.cfg.scale:g}; build it with mean=127.5, "
            f"scale={SCALE:.9g}"
        )
    ours = net._collect_params_with_prefix()
    modules, values, parts = dict(family(net)), {}, {}
    for name, array in arrays.items():
        module, _, role = name.rpartition(".")
        if role == "num_batches_tracked":
            continue
        target = modules.get(name) or modules.get(module)
        if isinstance(target, tuple):
            target, number = target
            parts.setdefault(f"{target}.{role}", {})[number] = array
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
    for key, found in parts.items():
        values[key] = np.concatenate([found[number] for number in sorted(found)])
    return {**_not_affine(values, ours), **values}


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
