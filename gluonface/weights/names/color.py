"""The order of colours that the network of a PyTorch file takes: RGB or BGR.

No state dict says it. arcface_torch, cavaface and MixFaceNets train on RGB; AdaFace's own training
on BGR; what CVLface publishes takes either, and a configuration beside the file says which.
"""

from __future__ import annotations

import logging
import pathlib
import re
import typing

import numpy as np

from ...errors import DataError, shown
from ...files import parse_json
from .adaface import is_adaface, own_checkpoint

__all__ = ["color_of_torch", "reversed_colors"]

logger = logging.getLogger(__name__)

COLORS = ("RGB", "BGR")
KEY = "color_space"
YAML_LINE = re.compile(rf"^[ \t]*{KEY}[ \t]*:[ \t]*(.*?)[ \t]*(?:#.*)?$", re.MULTILINE)
MAX_BYTES = 1 << 20  # of a configuration


def color_of_torch(path: pathlib.Path, names: typing.Collection[str]) -> str:
    """Return ``"RGB"`` or ``"BGR"`` for a state dict without a model card.

    Parameters
    ----------
    path : pathlib.Path
        Of the file of weights. CVLface's ``config.json`` or ``model.yaml`` may lie beside it, or
        NAME.config.json.
    names : collection of str
        Of its tensors, prefixes included.

    Returns
    -------
    str
        Where nothing tells and both orders are usual, RGB, with a warning.

    Raises
    ------
    DataError
        If a configuration names another order.
    """
    if not is_adaface(names):
        return "RGB"
    told = _configured(path)
    if told is not None:
        return told
    if own_checkpoint(names):
        logger.info("%s is a checkpoint of AdaFace's own training, which takes BGR", path)
        return "BGR"
    logger.warning(
        "nothing says whether %s takes RGB or BGR, and networks with these names take either; it "
        "is read as RGB. If it takes BGR (AdaFace's own do), say so: `gluonface import --color BGR`"
        ', or "color": "BGR" in a model card beside it',
        path,
    )
    return "RGB"


def _configured(path):
    """Return the order that CVLface's configuration beside a file says, or None."""
    for name in (f"{path.stem}.config.json", "config.json", "model.yaml"):
        file = path.with_name(name)
        try:
            if not file.is_file() or file.stat().st_size > MAX_BYTES:
                continue
            text = file.read_bytes().decode("utf-8", "replace")
        except OSError:
            continue
        value = _from_json(text) if file.suffix == ".json" else _from_yaml(text)
        if value is None:
            continue
        if not isinstance(value, str) or value.upper() not in COLORS:
            raise DataError(f"{file} has {KEY} {shown(value)}; expected {' or '.join(COLORS)}")
        return value.upper()
    return None


def _from_json(text):
    try:
        held = parse_json(text, "it")
    except DataError:
        return None  # of another program
    for part in (held.get("conf"), held) if isinstance(held, dict) else ():
        if isinstance(part, dict) and KEY in part:
            return part[KEY]
    return None


def _from_yaml(text):
    match = YAML_LINE.search(text)
    return match[1].strip("'\"") if match else None


def reversed_colors(
    ours: typing.Mapping[str, typing.Any], values: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return the arrays of a backbone for images with the colours in the other order.

    Parameters
    ----------
    ours : dict of str to Parameter
        The parameters of the backbone in order. The first with four axes is that of the layer that
        takes the pixels, (C, 3, H, W).
    values : dict of str to numpy.ndarray
    """
    first = next(name for name, p in ours.items() if len(p.shape) == 4 and p.shape[1] == 3)
    return {**values, first: np.ascontiguousarray(values[first][:, ::-1])}
