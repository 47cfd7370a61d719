"""The model card: what a file of weights is, and the preprocessing that it needs."""

from __future__ import annotations

import contextlib
import json
import logging
import math
import pathlib
import platform
import typing
from importlib import metadata

from .. import __version__
from ..errors import DataError, InputError, shown
from ..files import parse_json
from ..model_zoo._batch_norm import FORM, check_batch_norms

__all__ = ["COLORS", "INSIDE", "make_card", "read_card"]

logger = logging.getLogger(__name__)

FORMAT = "gluonface-model-card"
# Keys that the exporter alone sets.
FIXED = ("format", "sha256", "versions", "input", "output")
INSIDE = "inside"  # the network takes pixels 0..255
COLORS = ("RGB", "BGR")
MAX_BYTES = 1 << 22
MAX_PIXEL = 65_536.0
REQUIRED = ("embedding_size", "preprocessing", "input_size")


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
        "preprocessing": INSIDE,
        "params": getattr(net_cfg, "params", None),
        "macs": getattr(net_cfg, "macs", None),
        "paper": getattr(net_cfg, "paper", None) or None,
        "training_data": None,
        "licence": None,
        "metrics": {},
        **({"batch_norm": net_cfg.batch_norm} if getattr(net_cfg, "batch_norm", None) else {}),
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

    Every key that is read here or by a command has been checked: ``embedding_size`` is a whole
    number, ``input_size`` two of them, ``color`` ``"RGB"`` or ``"BGR"``, ``preprocessing``
    ``"inside"`` or a dict of ``mean`` and ``scale``, each of these one number or three, one for
    each colour in the network's order, ``sha256`` a dict of file roles to checksums; what is a
    text is short and printable.

    Raises
    ------
    DataError
        If it is damaged, lacks the embedding size, the preprocessing or the input size, or a
        value has another form; key and value are named.
    """
    try:
        content = path.read_bytes()
    except OSError:
        return None
    if len(content) > MAX_BYTES:
        return None
    try:
        card = parse_json(content, "it")
    except DataError as error:
        if FORMAT.encode() in content:
            raise DataError(
                f"the model card {path} is damaged: {error}. Export the model again."
            ) from None
        return None
    if not isinstance(card, dict):
        return None
    if card.get("format") != FORMAT:
        if set(REQUIRED) & set(card):
            logger.warning(
                '%s is not used: a model card says "format": "%s", this file %s',
                *(path, FORMAT, shown(card.get("format"))),
            )
        return None
    for key in REQUIRED:
        if key not in card:
            raise DataError(f"the model card {path} has no {key!r}. Export the model again.")
    for key, (check, expected) in FORMS.items():
        if key in card and not check(card[key]):
            raise DataError(
                f"the model card {path} has {key} {shown(card[key])}; expected {expected}"
            )
    return {"name": path.stem, **card}


def _whole(most):
    return lambda value: type(value) is int and 1 <= value <= most


def _size(value):
    return isinstance(value, list) and len(value) == 2 and all(map(_whole(4096), value))


def _finite(value):
    return type(value) in (int, float) and math.isfinite(value) and abs(value) <= MAX_PIXEL


def _pixels(value):
    """Whether this is a number, or one for each colour."""
    if isinstance(value, list):
        return len(value) == 3 and all(map(_finite, value))
    return _finite(value)


def _factor(value):
    return _pixels(value) and bool(all(value) if isinstance(value, list) else value)


def _preprocessing(value):
    if not isinstance(value, dict):
        return value == INSIDE
    return set(value) == {"mean", "scale"} and _pixels(value["mean"]) and _factor(value["scale"])


def _text(value):
    return isinstance(value, str) and 0 < len(value) <= 1000 and value.isprintable()


def _checksums(value):
    """Whether this is a dict of SHA-256 sums."""
    return isinstance(value, dict) and all(
        isinstance(digest, str) and len(digest) == 64 and set(digest) <= set("0123456789abcdef")
        for digest in value.values()
    )


def _or_none(check):
    return lambda value: value is None or check(value)


TEXT = (_or_none(_text), "a text of at most 1,000 characters, or null")
NUMBERS = "a number, or a list of one for red, green and blue in the order of `color`"
# Of a card's key: whether a value has its form, and the form in words.
FORMS: dict[str, tuple[typing.Callable[[typing.Any], bool], str]] = {
    "name": (_text, "a text of at most 1,000 characters"),
    "embedding_size": (_whole(1 << 20), "a whole number, 1 or more"),
    "input_size": (_size, "[height, width], two whole numbers from 1 to 4096"),
    "color": (lambda value: value in COLORS, "RGB or BGR"),
    "mean": (_pixels, NUMBERS),
    "scale": (_factor, f"{NUMBERS}, not 0"),
    "preprocessing": (
        _preprocessing,
        f'"{INSIDE}", or {{"mean": ..., "scale": ...}} with numbers, or with lists of three',
    ),
    "sha256": (_or_none(_checksums), "{role of a file: 64 hexadecimal digits}"),
    "batch_norm": (_or_none(check_batch_norms), FORM),
    "metrics": (_or_none(lambda value: isinstance(value, dict)), "{name: value}"),
    "imported_from": (_or_none(lambda value: isinstance(value, dict)), "{name: value}"),
    **dict.fromkeys(("licence", "training_data", "paper"), TEXT),
}
