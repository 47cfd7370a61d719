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

# arcface_torch's mbf: where our stages have the first unit of each of its layers, and what the
# three layers of its convolution blocks are
MBF_UNITS = {"2": 1, "3": 2, "4": 6, "5": 7, "6": 13, "7": 14}
MBF_LAYERS = ("conv", "bn", "act")


def _mbf_unit(match):
    layer, number, block, part = match.groups(default="0")
    return f"stages.{MBF_UNITS[layer] + int(number)}.{block}.{MBF_LAYERS[int(part)]}"


MBF = (
    (r"layers\.([01])\.layers\.([0-2])", lambda m: f"stages.0.{m[1]}.{MBF_LAYERS[int(m[2])]}"),
    (r"layers\.([2-7])(?:\.layers\.(\d+))?\.layers\.(\d)\.layers\.([0-2])", _mbf_unit),
    (r"conv_sep\.layers\.([0-2])", lambda m: f"head.final.{MBF_LAYERS[int(m[1])]}"),
    (r"features\.layers\.0\.layers\.0", "head.gdc.conv"),
    (r"features\.layers\.0\.layers\.1", "head.gdc.bn1"),
    (r"features\.layers\.2", "head.gdc.fc"),
    (r"features\.layers\.3", "head.gdc.bn2"),
)

# cavaface's MobileFaceNet, plain and with SE: where our stages have the first of its units
CAVAFACE_UNITS = {"23": 0, "3": 1, "34": 5, "4": 6, "45": 12, "5": 13}
CAVAFACE_PLACES = {"conv": 1, "conv_dw": 2, "project": 3}
_UNIT = r"conv_(23|3|34|4|45|5)(?:\.model\.(\d+))?"


def _cavaface_unit(match, part):
    return f"stages.{CAVAFACE_UNITS[match[1]] + int(match[2] or 0)}.{part}"


MOBILEFACENET = (
    (r"conv1\.(conv|bn|prelu)", r"stem.\g<1>1"),
    (r"conv2_dw\.(conv|bn|prelu)", r"stem.\g<1>2"),
    (
        _UNIT + r"\.(conv|conv_dw|project)\.(conv|bn|prelu)",
        lambda m: _cavaface_unit(m, f"{m[4]}{CAVAFACE_PLACES[m[3]]}"),
    ),
    (
        _UNIT + r"\.attention_layer\.conv([12])",
        lambda m: _cavaface_unit(m, f"attention.fc{m[3]}"),
    ),
    (r"conv_6_sep\.(conv|bn|prelu)", r"final.\1"),
    (r"output_layer\.conv_6_dw\.conv", "head.conv"),
    (r"output_layer\.conv_6_dw\.bn", "head.bn1"),
    (r"output_layer\.linear", "head.fc"),
    (r"output_layer\.bn", "head.bn2"),
)

# by the class of the backbone, or else by its name
FAMILIES = {"IResNet": IRESNET, "mbf": MBF, "MobileFaceNet": MOBILEFACENET}
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
    rules = FAMILIES.get(type(net).__name__) or FAMILIES.get(net.cfg.name)
    if rules is None:
        raise InputError(
            f"{source} is a PyTorch file; of those, the networks {', '.join(FAMILIES)} are known, "
            f"not {net.cfg.name}"
        )
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
            if callable(replacement):
                module = replacement(match)
            else:
                module = match.expand(replacement).replace(".downsample.", ".shortcut.")
            break
    if f"{module}.gamma" in ours:
        role = {"weight": "gamma", "bias": "beta"}.get(role, role)
    elif f"{module}.alpha" in ours:
        role = {"weight": "alpha"}.get(role, role)
    return f"{module}.{role}"
