"""What an ONNX file says of itself: how its pixels are prepared, what it gives, whose it is."""

from __future__ import annotations

import math
import typing

import numpy as np

from ...weights.card import INSIDE

__all__ = ["describe", "preprocessing_of"]

OUTSIDE = "outside"


def describe(model: typing.Any, card: dict[str, typing.Any], params: str) -> None:
    """Write into a model's metadata what its card says.

    Parameters
    ----------
    model : onnx.ModelProto
    card : dict
        As `make_card` gives it.
    params : str
        The SHA-256 of the parameters that it was made from.
    """
    size = ",".join(str(int(n)) for n in card["input_size"])
    told = {
        "name": card.get("name"),
        "preprocessing": INSIDE,
        "mean": _three(card.get("mean")),
        "std": _three(card.get("scale"), invert=True),
        "color": card.get("color"),
        "layout": "NCHW",
        "input_size": size,
        "embedding_size": card["embedding_size"],
        "normalized": "false",
        "alignment": f"arcface {size.replace(',', 'x')} five points",
        "licence": card.get("licence"),
        "training_data": card.get("training_data"),
        "sha256_params": params,
    }
    known = {entry.key for entry in model.metadata_props}
    for key, value in told.items():
        if value not in (None, "") and key not in known:
            model.metadata_props.add(key=key, value=str(value))


def _three(values, invert=False):
    """Return one number, or one for each colour, as three in a text; None of None."""
    if values is None:
        return None
    numbers = np.broadcast_to(np.asarray(values, np.float64), 3)
    return ",".join(f"{n:.9g}" for n in (1 / numbers if invert else numbers))


def preprocessing_of(model: typing.Any) -> str | dict[str, list[float]] | None:
    """Return what a model's metadata says of the pixels, as a card's ``preprocessing``.

    Returns
    -------
    "inside", a dict of ``mean`` and ``scale``, or None if it does not say or is not understood.
    """
    told = {entry.key: entry.value for entry in model.metadata_props}
    if told.get("preprocessing") == INSIDE:
        return INSIDE
    if told.get("preprocessing") != OUTSIDE:
        return None
    try:
        mean, std = ([float(n) for n in told.get(key, "").split(",")] for key in ("mean", "std"))
    except ValueError:
        return None
    finite = all(math.isfinite(n) and abs(n) <= 65_536 for n in (*mean, *std))
    if not finite or not all(std) or len(mean) != 3 or len(std) != 3:
        return None
    return {"mean": mean, "scale": [1 / n for n in std]}
