"""What other projects' PyTorch networks call the tensors of our backbones."""

import re

import numpy as np

from ..errors import DataError, InputError

__all__ = ["SCALE", "renamed"]

# arcface_torch's IResNet: name of a module -> our name of it
IRESNET = (
    (r"conv1", "stem.0"),
    (r"bn1", "stem.1"),
    (r"prelu", "stem.2"),
    (r"layer1\.(\d+\..+)", r"stages.0.\1"),
    (r"layer2\.(\d+\..+)", r"stages.1.\1"),
    (r"layer3\.(\d+\..+)", r"stages.2.\1"),
    (r"layer4\.(\d+\..+)", r"stages.3.\1"),
    (r"bn2", "head.bn1"),
    (r"fc", "head.fc"),
    (r"features", "head.bn2"),
)
FAMILIES = {"IResNet": IRESNET}  # by the class of the backbone
SCALE = 1 / 127.5  # of the pixels, after 127.5 is subtracted


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
    if type(net).__name__ not in FAMILIES:
        raise InputError(
            f"{source} is a PyTorch file; of those, the networks {', '.join(FAMILIES)} are known, "
            f"not {net.cfg.name}"
        )
    rules = FAMILIES[type(net).__name__]
    if not np.allclose([net.cfg.mean, net.cfg.scale], [127.5, SCALE], rtol=1e-6, atol=0):
        raise InputError(
            f"the network of {source} sees (x - 127.5) * {SCALE:.9g}, the model "
            f"(x - {net.cfg.mean:g}) * {net.cfg.scale:g}; build it with mean=127.5, "
            f"scale={SCALE:.9g}"
        )
    ours = net._collect_params_with_prefix()
    values = {}
    for name, array in arrays.items():
        module, _, role = name.rpartition(".")
        if role == "num_batches_tracked":
            continue
        key = _ours(rules, module, role, ours)
        parameter = ours.get(key)
        fixed = parameter is not None and key.endswith("gamma") and parameter.grad_req == "null"
        if fixed and not (array == 1).all():
            raise DataError(f"the tensor {name!r} of {source} is not 1, as {net.cfg.name} has it")
        values[key if parameter is not None else name] = array
    return values


def _ours(rules, module, role, ours):
    """Return our name of a parameter."""
    for pattern, replacement in rules:
        match = re.fullmatch(pattern, module)
        if match:
            module = match.expand(replacement).replace(".downsample.", ".shortcut.")
            break
    if f"{module}.gamma" in ours:
        role = {"weight": "gamma", "bias": "beta"}.get(role, role)
    elif f"{module}.alpha" in ours:
        role = {"weight": "alpha"}.get(role, role)
    return f"{module}.{role}"
