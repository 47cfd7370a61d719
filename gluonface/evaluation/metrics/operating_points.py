"""TAR at FAR from all same pairs and the highest of the different ones. Pure NumPy.

Only the highest scores of different pairs decide: billions of others need not be held.
`rates` explains the two conventions.
"""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np

from ...errors import InputError
from .roc import distinct_values

__all__ = [
    "OperatingPoint",
    "allowed_accepts",
    "check_rate",
    "operating_points",
    "strict_points",
    "with_intervals",
    "without_infinities",
]

logger = logging.getLogger(__name__)

# With fewer accepts that a target allows, bootstrap intervals are too narrow: resampled data have
# few different thresholds there.
FEW_ACCEPTS = 20
_WINDOW = 4096  # points of the ROC that are searched first on either side of a target


@dataclasses.dataclass(frozen=True)
class OperatingPoint:
    """One TAR at one FAR, with all that is needed to judge it.

    Attributes
    ----------
    target : float
        The false-accept rate asked for, a fraction.
    tar, far : float
        Shares of same and different pairs accepted at the threshold.
    threshold : float
        Score. "strict" accepts above it, "reference" at or above it. May be infinite.
    false_accepts : int
        Different pairs accepted.
    allowed : int
        Different pairs that `target` allows: the resolution of this figure.
    same, different : int
        Number of pairs of each kind.
    convention : str
        "strict" or "reference".
    low, high : float or None
        Bootstrap confidence interval of `tar`, where one was asked for.
    too_narrow : bool
        Whether that interval rests on so few false accepts that it is too narrow.
    """

    target: float
    tar: float
    far: float
    threshold: float
    false_accepts: int
    allowed: int
    same: int
    different: int
    convention: str
    low: float | None = None
    high: float | None = None

    # What the fields are called where they are shown.
    NAMES: ClassVar[dict] = {}
    TAR, FAR = "TAR", "FAR"

    @property
    def too_narrow(self) -> bool:
        """Whether the interval is of a target that allows fewer than 20 false accepts."""
        return self.low is not None and self.allowed < FEW_ACCEPTS

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by their names, ready for JSON: an infinite threshold is None.

        ``interval_too_narrow`` is there where it is true.
        """
        fields = without_infinities(dataclasses.asdict(self))
        if self.too_narrow:
            fields["interval_too_narrow"] = True
        return {self.NAMES.get(name, name): value for name, value in fields.items()}


def without_infinities(row):
    """Replace the infinite thresholds of "accept all" and "accept none" by None."""
    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in row.items()
    }


def operating_points(
    genuine: np.ndarray,
    impostor: np.ndarray,
    different: int,
    targets: Sequence[float],
    convention: str = "strict",
) -> list[OperatingPoint]:
    """TAR at each FAR of `targets` from the same pairs and the highest of the different pairs.

    ``2 * allowed + 2`` different pairs, for the largest target, decide both conventions.

    Parameters
    ----------
    genuine : numpy.ndarray, shape (same,)
        Scores of all same pairs, in any order. Minus infinity for a failure: it is never accepted.
    impostor : numpy.ndarray, shape (m,), descending
        The m highest scores of the different pairs; all of them when m = `different`.
    different : int
        Number of different pairs.
    targets : sequence of float
    convention : {"strict", "reference"}, default "strict"

    Returns
    -------
    list of OperatingPoint
    """
    allowed = [allowed_accepts(target, different) for target in targets]
    genuine = np.sort(genuine)
    if convention == "strict":
        rates = _strict(genuine, impostor, different, allowed)
    elif convention == "reference":
        rates = _nearest(genuine, impostor, different, targets)
    else:
        raise InputError(f"convention is {convention!r}; use 'strict' or 'reference'")
    return [
        OperatingPoint(
            target=float(target),
            tar=accepted / len(genuine),
            far=wrong / different,
            threshold=threshold,
            false_accepts=wrong,
            allowed=limit,
            same=len(genuine),
            different=different,
            convention=convention,
        )
        for target, limit, (accepted, wrong, threshold) in zip(targets, allowed, rates)
    ]


def strict_points(points: Iterable[OperatingPoint]) -> list[Any]:
    """Return those of the operating `points` whose convention is "strict", as a list."""
    return [point for point in points if point.convention == "strict"]


def with_intervals(points: Iterable[Any], intervals: Iterable[tuple]) -> tuple[Any, ...]:
    """Return operating `points` as a tuple, the strict ones with their (low, high) in order.

    A warning names the targets whose intervals are too narrow.
    """
    ends = iter(intervals)
    found = []
    for point in points:
        if point.convention == "strict":
            low, high = next(ends)
            point = dataclasses.replace(point, low=low, high=high)
        found.append(point)
    narrow = [point for point in found if point.too_narrow]
    if narrow:
        logger.warning(
            "fewer than %d false accepts are allowed at %s: the bootstrap intervals there are "
            "narrower than 95 %%",
            FEW_ACCEPTS,
            ", ".join(f"{point.target:g} ({point.allowed})" for point in narrow),
        )
    return tuple(found)


def allowed_accepts(target: float, different: int, name: str = "false-accept rate") -> int:
    """Return how many of `different` pairs a false-accept rate of `target` (0..1) allows."""
    check_rate(target, name)
    # 1e-9 keeps a product such as 0.29 * 100 = 28.999999999999996 at the 29 that is meant
    return min(math.floor(target * different + 1e-9), different)


def check_rate(target, name="false-accept rate"):
    """Raise InputError unless `target` is a fraction in 0..1."""
    if not 0 <= target <= 1:
        raise InputError(f"the {name} is {target!r}; expected a fraction in 0..1")


def _above(ascending, threshold):
    """Count the values of a sorted array above `threshold`."""
    return len(ascending) - int(np.searchsorted(ascending, threshold, side="right"))


def _strict(genuine, impostor, different, allowed):
    """Yield (true accepts, false accepts, threshold) with at most `allowed` false accepts."""
    rising = impostor[::-1]
    for k in allowed:
        if k >= different:
            yield _above(genuine, -math.inf), different, -math.inf
            continue
        threshold = impostor[k]  # in its own dtype, so that comparisons are exact
        yield _above(genuine, threshold), _above(rising, threshold), float(threshold)


def _nearest(genuine, impostor, different, targets):
    """Yield (true accepts, false accepts, threshold) of the ROC point nearest to each target.

    Points are those that scikit-learn keeps: where the step to the next differs from the step to
    this one. `genuine` ascends, `impostor` descends and may hold the highest scores only. Of
    millions of points a window around the target is searched, and a larger one until it decides.
    """
    for target in targets:
        aim, reach = target * different, _WINDOW
        while True:
            low = max(0, int(aim) - reach)
            high = min(len(impostor), int(aim) + reach)
            thresholds, wrong, right, known = _kept_points(genuine, impostor, low, high, different)
            # Reversed, the first of equally near points is the one with the highest rates.
            distance = np.abs((wrong / different)[::-1] - target)
            point = len(distance) - 1 - int(np.argmin(distance)) if len(distance) else -1
            decided = point >= 0 and (
                abs(wrong[point] - aim) < min(aim - known[0], known[1] - aim)
                or (low == 0 and high == len(impostor))
            )
            if decided:
                yield int(right[point]), int(wrong[point]), float(thresholds[point])
                break
            reach *= 4


def _kept_points(genuine, impostor, low, high, different):
    """Return the kept points of the ROC among the different pairs `low`..`high`.

    Returns
    -------
    thresholds, wrong, right : numpy.ndarray
        Of each point, with false and true accepts as counts.
    known : tuple of float
        All points with false accepts between these two are among them.
    """
    ends = low == 0, high == different
    window = impostor[low:high]
    top = math.inf if ends[0] or not len(window) else window[0]
    floor = -math.inf if ends[1] or not len(window) else window[-1]
    stop = np.searchsorted(genuine, top, side="right")
    right_before = len(genuine) - int(stop)
    genuine = genuine[np.searchsorted(genuine, floor, side="left") : stop][::-1]
    values, false_steps = distinct_values(window)
    own, true_counts = distinct_values(genuine)
    # Merge the few same pairs into the many different ones: where a value is new, insert it.
    place = np.searchsorted(-values, -own, side="left")
    inside = place < len(values)
    shared = np.zeros(len(own), bool)
    shared[inside] = values[place[inside]] == own[inside]
    true_steps = np.zeros(len(values), np.int64)
    true_steps[place[shared]] = true_counts[shared]
    new = place[~shared]
    values = np.insert(values, new, own[~shared])
    false_steps = np.insert(false_steps, new, 0)
    true_steps = np.insert(true_steps, new, true_counts[~shared])
    wrong, right = low + np.cumsum(false_steps), right_before + np.cumsum(true_steps)
    kept = np.ones(len(values), bool)
    kept[1:-1] = (np.diff(false_steps)[1:] != 0) | (np.diff(true_steps)[1:] != 0)
    known = [-math.inf, math.inf]
    if not ends[0] and len(kept):  # a run of ties may begin above the window
        kept[0], known[0] = False, wrong[0]
    if not ends[1]:  # at the lowest value there may be more: is the point before it kept?
        sure = len(kept) > 1 and (
            false_steps[-1] > false_steps[-2] or true_steps[-1] != true_steps[-2]
        )
        kept[-1 if sure else -2 :] = False
        known[1] = wrong[-1 if sure or len(wrong) < 2 else -2]
    start = [0] if ends[0] else []
    return (
        np.concatenate([[np.inf] * len(start), values[kept]]),
        np.concatenate([start, wrong[kept]]),
        np.concatenate([start, right[kept]]),
        known,
    )
