"""Values that change during a run, as they are written: ``{0: 0.1, 60 epochs: 1.0}``.

A key says from when its value holds: a step, a share of the run (``0.5``), an epoch (``60 epochs``)
or a score (``score 0.35``: from the step after the one in which the mean over the batch of the
squared cosine to the own class's centre reached it, for good).
"""

from __future__ import annotations

import re
from typing import Any, Callable

from ...errors import InputError, shown
from .options import number

__all__ = ["highest_value", "read_changes"]

EPOCHS = re.compile(r"(\d+) ?epochs?|epoch (\d+)")
SCORE = re.compile(r"score (\S+)")


def read_changes(
    written: Any, name: str, check: Callable[[Any, str], Any]
) -> list[tuple[str, float, Any]]:
    """Return the changes of a value in their order, each (kind, when, value).

    Parameters
    ----------
    written : object
        A dict from when to value, or one value for the whole run.
    name : str
        Of the option, for messages.
    check : callable
        ``check(value, name)`` returns the value, or raises InputError.

    Returns
    -------
    list of (str, float, object)
        The kind is ``step``, ``share``, ``epoch`` or ``score``; the first one is ("step", 0, ...).

    Raises
    ------
    InputError
        If a key is none of these, the first one is not 0, or they do not grow.
    """
    if not isinstance(written, dict):
        return [("step", 0, check(written, name))]
    found = [
        (*_when(key, name), check(value, f"{name}[{key!r}]")) for key, value in written.items()
    ]
    if not found or found[0][:2] not in (("step", 0), ("share", 0.0), ("epoch", 0)):
        raise InputError(
            f"{name} = {shown(written)} does not begin at 0; write, for example, "
            "{0: 0.1, 60 epochs: 1.0}"
        )
    found[0] = ("step", 0, found[0][2])
    for kind in ("step", "share", "epoch", "score"):
        times = [when for each, when, _ in found if each == kind]
        if times != sorted(set(times)):
            raise InputError(f"{name}: the changes are not in the order in which they come")
    return found


def highest_value(written: Any) -> Any:
    """Return the largest value that a checked option has in a run."""
    return max(written.values()) if isinstance(written, dict) else written


def _when(key, name):
    """Return (kind, number) of a key."""
    text = str(key).strip()
    epochs, score = EPOCHS.fullmatch(text), SCORE.fullmatch(text)
    if epochs:
        return "epoch", int(epochs[1] or epochs[2])
    value = number(score[1] if score else text)
    if isinstance(value, (int, float)) and value >= 0:
        if score and value < 1:
            return "score", float(value)
        if not score and text.isdigit():
            return "step", int(text)
        if not score and value <= 1:
            return "share", float(value)
        if not score and float(value).is_integer():
            return "step", int(value)
    raise InputError(
        f"{name}: {shown(key)} says no time; expected a step such as 5000, a share of the run "
        "from 0.0 to 1.0, '60 epochs' or 'score 0.35'"
    )
