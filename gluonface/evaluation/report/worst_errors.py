"""The worst errors on a report's page: who is compared, what they look like, what went wrong."""

from __future__ import annotations

import base64
import dataclasses
import logging
from collections.abc import Callable
from typing import Any

import numpy as np

from ...errors import DataError
from ..metrics.operating_points import strict_points
from ..results.tables import rate_text

__all__ = ["ErrorSide", "data_uri", "error_sheets", "name_errors", "pack_sides", "verdict"]

logger = logging.getLogger(__name__)

_TITLES = {
    "highest different": "Different people with the highest scores",
    "lowest same": "The same person with the lowest scores",
    "wrong identity first": "Probes for which a wrong identity comes first",
}


@dataclasses.dataclass(frozen=True)
class ErrorSide:
    """One side of a pair: an image, or a template of several.

    Attributes
    ----------
    name : str
    read : function, optional
        Returns its images, a list of uint8 (H, W, 3) RGB. Called only for what is shown.
    """

    name: str
    read: Callable[[], list[np.ndarray]] | None = None


def name_errors(result, sides):
    """Return a result whose worst errors, and those of its subsets, have names.

    Parameters
    ----------
    result : EvaluationResult
    sides : function
        Takes a result (`result`, or one of its subsets) and a `WorstError`; returns the
        `ErrorSide` of either entry and, where there is a right mate, of that.
    """
    named = []
    for error in result.worst_errors:
        names = [side.name for side in sides(result, error)]
        of_mate = names[2] if len(names) > 2 else None
        named.append(
            dataclasses.replace(error, name_a=names[0], name_b=names[1], name_mate=of_mate)
        )
    subsets = tuple(name_errors(subset, sides) for subset in result.subsets)
    return dataclasses.replace(result, worst_errors=tuple(named), subsets=subsets)


def pack_sides(packs: dict[str, Any]):
    """Return the `sides` of pairs of verification packs, by the packs' names."""

    def sides(result, call):
        pack = packs[result.pack]
        if not hasattr(pack, "sides"):  # a pack: pair i is images 2i and 2i + 1
            numbers = 2 * call.index, 2 * call.index + 1
            names = [f"image {side} of pair {call.index}" for side in "ab"]
        else:
            numbers = pack.sides[call.index].tolist()
            names = [pack.image_name(number) for number in numbers]
        return tuple(
            ErrorSide(name, lambda number=number: [pack.image(number)])
            for name, number in zip(names, numbers)
        )

    return sides


def error_sheets(result, sides):
    """Return the contact sheets of one result, a sheet for each kind of error."""
    sheets: dict[str, list] = {}
    for error in result.worst_errors:
        shown = sides(result, error) if sides is not None else ()
        known = [(error.name_a, error.a), (error.name_b, error.b)]
        known += [(error.name_mate, error.mate)] if error.mate is not None else []
        names = [name or f"entry {place}" for name, place in known]
        names[: len(shown)] = [side.name for side in shown]
        rate = "FMR" if result.error_rates else "FAR"
        sentence, wrong = verdict(error, result.operating_points, rate)
        words = ("", "") if error.mate is None else ("probe", "wrong entry", "right entry")
        sheets.setdefault(error.kind, []).append(
            {
                "heading": f"Score {error.score:.3f}",
                "body": sentence,
                "small": " and ".join(names)
                if error.mate is None
                else "; ".join(f"{word}: {name}" for word, name in zip(words, names)),
                "wrong": wrong,
                "sides": shown_sides(shown, words),
            }
        )
    return [sheet(_TITLES.get(kind, kind), cards) for kind, cards in sheets.items()]


def sheet(title, cards):
    """Return a contact sheet as a block of a page.

    Parameters
    ----------
    title : str
    cards : sequence of dict
        ``heading``, ``body`` and ``small``: texts; ``wrong``: whether it is an error; ``sides``:
        see `shown_sides`.
    """
    return {"kind": "errors", "title": title, "cards": cards}


def shown_sides(sides, words=("", ""), suffix=".jpg"):
    """Return name, word and images of each side; none at all when no image can be shown."""
    found = [
        {"name": side.name, "word": word, "images": _images(side, suffix)}
        for side, word in zip(sides, words)
    ]
    return found if any(side["images"] for side in found) else []


def _images(side, suffix):
    """Return the images of a side as data URIs; none when they cannot be read."""
    if side.read is None:
        return []
    try:
        return [data_uri(image, suffix) for image in side.read()]
    except DataError as error:
        logger.warning("not on the report: %s", error)
        return []


def data_uri(image, suffix=".jpg"):
    """Return a face crop, uint8 (H, W, 3) RGB, as a data URI: ".jpg", or ".png" without loss."""
    from ..._compat import cv2

    options = [cv2.IMWRITE_JPEG_QUALITY, 90] if suffix == ".jpg" else []
    data = cv2.imencode(suffix, np.ascontiguousarray(image[:, :, ::-1]), options)[1]
    kind = {".jpg": "jpeg", ".png": "png"}[suffix]
    return f"data:image/{kind};base64," + base64.b64encode(data.tobytes()).decode()


def verdict(error, points, rate="FAR"):
    """Say at which rates one of the worst pairs is an error.

    Parameters
    ----------
    error : WorstError
    points : sequence of OperatingPoint
    rate : str, default "FAR"
        What the rate is called.

    Returns
    -------
    (str, bool)
        The sentence, and whether it is an error at any of the rates.
    """
    strict = strict_points(points)
    if error.kind == "highest different":
        wrong = [p.target for p in strict if error.score > p.threshold]
        if wrong:
            return f"A false accept from {rate} {rate_text(min(wrong))} on.", True
        return f"Accepted at none of the {rate}s.", False
    if error.kind == "lowest same":
        wrong = [p.target for p in strict if not error.score > p.threshold]
        if wrong:
            return f"A false reject up to {rate} {rate_text(max(wrong))}.", True
        return f"Accepted at every {rate}.", False
    lead = error.score - error.mate_score
    if lead > 0:
        return f"A wrong entry scores {lead:.3f} above the right one, {error.mate_score:.3f}.", True
    return "A wrong entry scores as high as the right one.", True
