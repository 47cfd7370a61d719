"""Metrics of face verification on scores: pure NumPy, no state, named results.

A *score* is large for the same person. (The fold metrics in ``folds`` take a *distance*, which is
small; for unit vectors, squared distance = 2 - 2 * cosine score.)

Two conventions of TAR at FAR exist. "strict" is the highest share of accepted same pairs at a
threshold whose false-accept rate does not exceed the target, as NIST reports it. "reference" is
the ROC point nearest to the target, which may lie above it; published IJB tables use it.
"""

import dataclasses
import math
from typing import Optional

import numpy as np

from ..errors import InputError

__all__ = [
    "OperatingPoint",
    "RocCurve",
    "allowed_accepts",
    "area_under_curve",
    "equal_error_rate",
    "operating_points",
    "roc_corners",
    "roc_curve",
    "tar_at_far",
]

_WINDOW = 4096  # points of the ROC looked at first on either side of a target


@dataclasses.dataclass(frozen=True)
class RocCurve:
    """Receiver operating characteristic: one point per distinct score, from (0, 0) to (1, 1).

    Attributes
    ----------
    fpr, tpr : numpy.ndarray, shape (m,), float64
        Shares of different and same pairs accepted.
    thresholds : numpy.ndarray, shape (m,), float64
        A pair is accepted when its score is at least this; infinite at the first point.
    false_accepts, true_accepts : numpy.ndarray, shape (m,), int64
        The same as counts.
    """

    fpr: np.ndarray
    tpr: np.ndarray
    thresholds: np.ndarray
    false_accepts: np.ndarray
    true_accepts: np.ndarray


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
    low: Optional[float] = None
    high: Optional[float] = None


def roc_curve(score, issame, drop_intermediate=False):
    """Trace the ROC of scores: accept from the highest score down, equal scores together.

    Parameters
    ----------
    score : array_like, shape (n,)
        Larger is more alike.
    issame : array_like of bool, shape (n,)
        Both kinds must occur.
    drop_intermediate : bool, default False
        Leave out the inner points of straight runs, as scikit-learn does by default. The
        "reference" TAR depends on it; areas do not.

    Returns
    -------
    RocCurve
    """
    score, issame = check_pairs(score, issame, "score")
    same, different = _both_kinds(issame)
    order = np.argsort(-score, kind="stable")
    score, issame = score[order], issame[order]
    ends = np.append(np.flatnonzero(np.diff(score)), len(score) - 1)  # last of each run of ties
    true_accepts = np.cumsum(issame)[ends]
    false_accepts = ends + 1 - true_accepts
    if drop_intermediate and len(ends) > 2:
        bend = (np.diff(false_accepts, 2) != 0) | (np.diff(true_accepts, 2) != 0)
        keep = np.concatenate([[True], bend, [True]])
        ends, true_accepts, false_accepts = ends[keep], true_accepts[keep], false_accepts[keep]
    true_accepts = np.concatenate([[0], true_accepts])
    false_accepts = np.concatenate([[0], false_accepts])
    return RocCurve(
        fpr=false_accepts / different,
        tpr=true_accepts / same,
        thresholds=np.concatenate([[np.inf], score[ends]]),
        false_accepts=false_accepts,
        true_accepts=true_accepts,
    )


def tar_at_far(score, issame, targets, convention="strict"):
    """True-accept rate at each false-accept rate of `targets`.

    Parameters
    ----------
    score : array_like, shape (n,)
        Larger is more alike.
    issame : array_like of bool, shape (n,)
        Both kinds must occur.
    targets : sequence of float
        False-accept rates as fractions, 0..1.
    convention : {"strict", "reference"}, default "strict"
        See the head of this module.

    Returns
    -------
    list of OperatingPoint
        In the order of `targets`.
    """
    score, issame = check_pairs(score, issame, "score")
    _both_kinds(issame)
    genuine, impostor = score[issame], score[~issame]
    return operating_points(genuine, np.sort(impostor)[::-1], len(impostor), targets, convention)


def allowed_accepts(target, different):
    """Return how many of `different` pairs a false-accept rate of `target` (0..1) allows."""
    check_far(target)
    # 1e-9 keeps a product such as 0.29 * 100 = 28.999999999999996 at the 29 that is meant
    return min(math.floor(target * different + 1e-9), different)


def operating_points(genuine, impostor, different, targets, convention="strict"):
    """TAR at each FAR of `targets` from the same pairs and the highest of the different pairs.

    Only the upper end of the different pairs' scores matters, so that billions of them need not
    be held: ``2 * allowed + 2`` of them, for the largest target, decide both conventions.

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


def area_under_curve(score, issame):
    """Area under the ROC: the chance that a same pair outscores a different one, ties half.

    Parameters
    ----------
    score, issame
        As for `roc_curve`.

    Returns
    -------
    float
        0..1; 0.5 for scores that say nothing.
    """
    return curve_area(roc_curve(score, issame))


def curve_area(curve):
    """Return the trapezoidal area under a `RocCurve`, from its counts: no rounding until the end.

    Up to 3e9 pairs of each kind the sum stays within int64.
    """
    fp, tp = curve.false_accepts, curve.true_accepts
    doubled = int(np.sum(np.diff(fp) * (tp[1:] + tp[:-1])))
    return doubled / (2 * int(fp[-1]) * int(tp[-1]))


def equal_error_rate(score, issame):
    """Error rate where as many different pairs are accepted as same pairs are rejected, as shares.

    The ROC is joined by straight lines, so that ties and small samples give one answer.

    Parameters
    ----------
    score, issame
        As for `roc_curve`.

    Returns
    -------
    float
        0..1; 0 when the two kinds are separated.
    """
    return curve_eer(roc_curve(score, issame))


def curve_eer(curve):
    """Return the equal error rate on a `RocCurve`."""
    gap = 1 - curve.tpr - curve.fpr  # misses minus false accepts: falls from 1 to -1
    after = int(np.argmax(gap <= 0))
    share = gap[after - 1] / (gap[after - 1] - gap[after])
    return float(curve.fpr[after - 1] + share * (curve.fpr[after] - curve.fpr[after - 1]))


def check_pairs(values, issame, name):
    """Return `values` as finite float64 (n,) and `issame` as bool (n,), or raise InputError."""
    values = np.asarray(values)
    if values.ndim != 1 or not len(values) or values.dtype.kind not in "fiu":
        raise InputError(
            f"{name} has shape {values.shape} and dtype {values.dtype}; "
            "expected one number per pair, shape (pairs,)"
        )
    values = values.astype(np.float64, copy=False)
    if not np.isfinite(values).all():
        raise InputError(f"{name} of pair {int(np.argmin(np.isfinite(values)))} is not finite")
    return values, check_issame(issame, len(values))


def check_issame(issame, pairs):
    """Return `issame` as a bool array of shape (pairs,), or raise InputError."""
    array = np.asarray(issame)
    if array.shape != (pairs,):
        raise InputError(
            f"issame has shape {array.shape} for {pairs} pairs; "
            f"expected one True or False per pair, shape ({pairs},)"
        )
    if array.dtype.kind not in "biuf" or not ((array == 0) | (array == 1)).all():
        raise InputError("issame must hold True or False (or 1 and 0) only")
    return array.astype(bool)


def check_far(target):
    if not 0 <= target <= 1:
        raise InputError(f"the false-accept rate is {target!r}; expected a fraction in 0..1")


def _both_kinds(issame):
    same = int(np.count_nonzero(issame))
    different = len(issame) - same
    if not same or not different:
        raise InputError(
            f"there are {same} same and {different} different pairs; "
            "a ROC, its area, EER and TAR at FAR need both kinds"
        )
    return same, different


def roc_corners(genuine, impostor, different):
    """Return the corners of the ROC: what straight lines between them draw is the whole of it.

    Much smaller than `roc_curve` when different pairs are many; the area and the equal error
    rate, which need all of them, are the same.

    Parameters
    ----------
    genuine, impostor, different
        As for `operating_points`. With the upper end of `impostor` alone the curve ends there.

    Returns
    -------
    RocCurve
    """
    own, counts = _runs(np.sort(genuine)[::-1])
    if different > len(impostor):
        inside = own > impostor[-1] if len(impostor) else np.zeros(len(own), bool)
        own, counts = own[inside], counts[inside]
    rising = impostor[::-1]
    right = np.cumsum(counts)
    before = len(rising) - np.searchsorted(rising, own, side="right")
    at = len(rising) - np.searchsorted(rising, own, side="left")
    wrong = np.stack([before, at], axis=1).ravel()
    right = np.stack([right - counts, right], axis=1).ravel()
    # After a value's point come the different pairs below it, so its threshold ends both.
    last = [len(impostor)] if len(impostor) else []
    wrong = np.concatenate([[0], wrong, last]).astype(np.int64)
    right = np.concatenate([[0], right, [right[-1] if len(right) else 0] * len(last)])
    values = np.repeat(own, 2).astype(np.float64)
    above = np.concatenate([[np.inf], values[1:-1:2]])  # the lowest that is accepted before it
    if len(impostor):
        nearest = np.where(before > 0, impostor[np.maximum(before - 1, 0)], np.inf)
        above = np.minimum(above, nearest)
    values[0::2] = above[: len(own)]
    lowest = impostor[-1:].astype(np.float64)
    thresholds = np.concatenate([[np.inf], values, lowest])
    if len(own) and len(impostor):
        thresholds[-1] = min(thresholds[-1], thresholds[-2])
    return RocCurve(wrong / different, right / len(genuine), thresholds, wrong, right)


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
    this one. `genuine` ascends, `impostor` descends and may be the upper end alone. Of millions
    of points a window around the target is looked at, and a larger one until it decides.
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
    part = impostor[low:high]
    top = math.inf if ends[0] or not len(part) else part[0]
    floor = -math.inf if ends[1] or not len(part) else part[-1]
    stop = np.searchsorted(genuine, top, side="right")
    right_before = len(genuine) - int(stop)
    genuine = genuine[np.searchsorted(genuine, floor, side="left") : stop][::-1]
    values, false_steps = _runs(part)
    own, true_counts = _runs(genuine)
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


def _runs(descending):
    """Return the distinct values of a sorted array and how often each occurs."""
    if not len(descending):
        return descending, np.zeros(0, np.int64)
    edges = np.flatnonzero(descending[1:] != descending[:-1]) + 1
    edges = np.concatenate([[0], edges, [len(descending)]])
    return descending[edges[:-1]], np.diff(edges)
