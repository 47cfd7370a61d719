"""The model card: what a file of weights is, and the preprocessing that it needs."""

from __future__ import annotations

import contextlib
import json
import pathlib
import platform
import typing
from importlib import metadata

from .. import __version__
from ..errors import DataError, InputError

__all__ = ["make_card", "read_card"]

FORMAT = "gluonface-model-card"
# Keys that the exporter alone sets.
FIXED = ("format", "sha256", "versions", "input", "output")


def make_card(
    net_cfg: typing.Any, embedding_size: int, extra: dict[str, typing.Any] | None = None
) -> dict[str, typing.Any]:
    """Return the card of a network as a dict.

    Parameters
    ----------
    net_cfg : ModelCfg or None
        ``net.cfg``; None for a block that is not of the zoo.
    embedding_size : int
        As measured on the exported graph.
    extra : dict, optional
        What else to record: ``training_data``, ``licence``, ``metrics``, ``source``, ...

    Returns
    -------
    dict

    Raises
    ------
    InputError
        If `extra` is not a dict, cannot be written as JSON, or sets what is measured here.
    """
    extra = dict(extra or {}) if isinstance(extra, (dict, type(None))) else extra
    if not isinstance(extra, dict):
        raise InputError(f"card is a {type(extra).__name__}; expected a dict of what is known")
    fixed = sorted(set(extra) & set(FIXED))
    if fixed:
        raise InputError(f"card sets {', '.join(fixed)}; export_model writes that itself")
    size = [int(n) for n in getattr(net_cfg, "input_size", (112, 112))]
    card = {
        "format": FORMAT,
        "name": getattr(net_cfg, "name", "custom"),
        "embedding_size": int(embedding_size),
        "input": "data",
        "output": "fc1",
        "input_size": size,
        "color": getattr(net_cfg, "color", "RGB"),
        "mean": _number(getattr(net_cfg, "mean", 127.5)),
        "scale": _number(getattr(net_cfg, "scale", 1 / 128)),
        "preprocessing": "inside",  # pixels 0..255 go in as they are
        "params": getattr(net_cfg, "params", None),
        "macs": getattr(net_cfg, "macs", None),
        "paper": getattr(net_cfg, "paper", None),
        "training_data": None,
        "licence": None,
        "metrics": {},
        **extra,
        "versions": {
            "gluonface": __version__,
            "python": platform.python_version(),
            **_versions("mxnet", "mxnet-cu112", "numpy"),
        },
        "sha256": {},
    }
    try:
        return json.loads(json.dumps(card))
    except TypeError as error:
        raise InputError(f"the card cannot be written as JSON: {error}") from None


def _number(value):
    """Return a scalar or a per-channel sequence as plain floats."""
    return [float(v) for v in value] if hasattr(value, "__len__") else float(value)


def _versions(*names):
    """Return the versions of those distributions that are installed."""
    found = {}
    for name in names:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def read_card(path: pathlib.Path) -> dict[str, typing.Any] | None:
    """Return a model card; None if the file is absent or is not a card.

    Raises
    ------
    DataError
        If it lacks the embedding size, the preprocessing or the input size.
    """
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        return None
    for key in ("embedding_size", "preprocessing", "input_size"):
        if key not in card:
            raise DataError(f"the model card {path} has no {key!r}. Export the model again.")
    return card
