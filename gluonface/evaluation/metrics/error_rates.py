"""Error rates as NIST's FRTE reports them: FNMR at FMR, FNIR at FPIR, tables by group. Pure NumPy.

A comparison is accepted when its score is at least the threshold. A failure to make a template is
a mated comparison that does not match, and a non-mated one that rightly does not.

References
----------
Grother, Ngan, Hanaoka, "Face Recognition Vendor Test", NIST Interagency Reports 8238 and 8280.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import InputError
from .operating_points import OperatingPoint, check_rate, operating_points, without_infinities

__all__ = [
    "ErrorRate",
    "by_group",
    "error_rate_above",
    "error_rate_of",
    "fnir_at_fpir",
    "fnmr_at_fmr",
]


@dataclasses.dataclass(frozen=True)
class ErrorRate:
    """False non-match rate at one false match rate.

    Attributes
    ----------
    target : float
        The false match rate asked for.
    fmr, fnmr : float
        Shares of non-mated comparisons with a score of at least the threshold, and of mated ones
        with a lower score.
    threshold : float
        The smallest that keeps the target.
    false_matches, false_nonmatches, nonmated, mated : int
    fmr_error : float or None
        Relative standard error of the false match rate, 1 / sqrt(false matches); more in truth,
        as pairs share images.
    group : str or None
    low, high : float or None
        Bootstrap confidence interval of `fnmr`.
    depth : int or None
        Of a search ("R"): then `fmr` is the FPIR, `fnmr` the FNIR, and both count searches.
    """

    target: float
    fmr: float
    fnmr: float
    threshold: float
    false_matches: int
    false_nonmatches: int
    nonmated: int
    mated: int
    fmr_error: float | None = None
    group: str | None = None
    low: float | None = None
    high: float | None = None
    depth: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON; those of a search by their own names."""
        fields = without_infinities(dataclasses.asdict(self))
        if self.depth is None:
            return fields
        names = {"fmr": "fpir", "fnmr": "fnir", "fmr_error": "fpir_error"}
        names.update(false_matches="false_positives", false_nonmatches="false_negatives")
        return {names.get(name, name): value for name, value in fields.items()}


def error_rate_of(point: OperatingPoint, dtype: Any = np.float32, **fields: Any) -> ErrorRate:
    """Return what a strict `OperatingPoint` is in NIST's terms; `fields`: group, depth."""
    if point.convention != "strict":
        raise InputError(f"NIST's threshold is the strict one; got the {point.convention} point")
    missed = point.same - round(point.tar * point.same)
    limit, ends = dtype(point.threshold), (point.low, point.high)
    counts = point.false_accepts, point.different, missed, point.same
    return error_rate_above(point.target, limit, counts, ends, **fields)


def error_rate_above(
    target: float, limit: np.floating, counts: tuple, interval: tuple = (None, None), **fields: Any
) -> ErrorRate:
    """Return the `ErrorRate` of comparisons that are accepted above a score.

    Parameters
    ----------
    target : float
    limit : numpy.floating
        In the dtype of the scores: the smallest threshold for "at least" is the next number.
    counts : (false matches, non-mated, false non-matches, mated)
    interval : (float, float), optional
        Of the share of mated comparisons that match.
    **fields
        group, depth.
    """
    threshold = np.nextafter(limit, type(limit)(np.inf))
    return _error_rate(target, threshold, counts, interval, **fields)


def _error_rate(target, threshold, counts, interval=(None, None), **fields):
    """Return the `ErrorRate` of comparisons that are accepted at or above a threshold."""
    wrong, nonmated, missed, mated = map(int, counts)
    low, high = interval
    return ErrorRate(
        target=float(target),
        fmr=wrong / nonmated,
        fnmr=missed / mated,
        threshold=float(threshold),
        false_matches=wrong,
        false_nonmatches=missed,
        nonmated=nonmated,
        mated=mated,
        fmr_error=1 / math.sqrt(wrong) if wrong else None,
        low=None if high is None else 1 - high,
        high=None if low is None else 1 - low,
        **fields,
    )


def fnmr_at_fmr(
    mated: npt.ArrayLike,
    nonmated: npt.ArrayLike,
    targets: Sequence[float],
    failed_mated: int = 0,
    failed_nonmated: int = 0,
) -> list[ErrorRate]:
    """False non-match rate at each false match rate.

    Parameters
    ----------
    mated, nonmated : array_like, shape (n,) and (m,)
        Scores. Minus infinity stands for a failed comparison.
    targets : sequence of float
    failed_mated, failed_nonmated : int, default 0
        Comparisons that could not be made and are not among the scores.

    Returns
    -------
    list of ErrorRate
    """
    own, others = _scores(mated, failed_mated), _scores(nonmated, failed_nonmated)
    points = operating_points(own, np.sort(others)[::-1], len(others), targets)
    return [_rate(own, others, _just_above(p.threshold, others), p.target) for p in points]


def by_group(
    mated: Mapping[str, npt.ArrayLike],
    nonmated: Mapping[str, npt.ArrayLike],
    targets: Sequence[float],
    reference: str | None = None,
) -> list[ErrorRate]:
    """One threshold for all groups, and what it does to each.

    Published tables differ in this: NIST fixes the threshold on all groups together or on one of
    them, IFRT takes a threshold for each (for that, call `fnmr_at_fmr` group by group).

    Parameters
    ----------
    mated, nonmated : dict of str to array_like
        Scores by group.
    targets : sequence of float
    reference : str, optional
        The group that sets the threshold. Default: all together.

    Returns
    -------
    list of ErrorRate
        Target by target, each with all groups in the order given.
    """
    if set(mated) != set(nonmated) or not mated:
        raise InputError(f"groups {sorted(mated)} have mated and {sorted(nonmated)} other scores")
    if reference is not None and reference not in mated:
        raise InputError(f"group {reference!r} is unknown; there are {', '.join(sorted(mated))}")
    names = list(mated) if reference is None else [reference]
    own, others = (
        np.concatenate([_scores(side[name], 0) for name in names]) for side in (mated, nonmated)
    )
    rates = []
    for pooled in fnmr_at_fmr(own, others, targets):
        for name in mated:
            of_group = _scores(mated[name], 0), _scores(nonmated[name], 0)
            rate = _rate(*of_group, pooled.threshold, pooled.target)
            rates.append(dataclasses.replace(rate, group=name))
    return rates


def fnir_at_fpir(
    best_mate: npt.ArrayLike,
    rank: npt.ArrayLike,
    best_other: npt.ArrayLike,
    targets: Sequence[float],
    depth: int = 1,
) -> list[ErrorRate]:
    """False negative identification rate at each false positive identification rate.

    Parameters
    ----------
    best_mate : array_like, shape (n,)
        Score of the mate in each mated search.
    rank : array_like of int, shape (n,)
        Its rank, from 1.
    best_other : array_like, shape (m,)
        Best score of each non-mated search.
    targets : sequence of float
    depth : int, default 1
        The mate has to be among so many best.

    Returns
    -------
    list of ErrorRate
        ``fmr`` is the FPIR and ``fnmr`` the FNIR.
    """
    best_mate, rank = np.asarray(best_mate, np.float64), np.asarray(rank)
    if best_mate.shape != rank.shape:
        raise InputError(f"{best_mate.shape} mates' scores and {rank.shape} ranks do not agree")
    counted = np.where(rank <= depth, best_mate, -np.inf)
    rates = fnmr_at_fmr(counted, best_other, targets)
    return [dataclasses.replace(rate, depth=int(depth)) for rate in rates]


def _scores(values, failed):
    values = np.asarray(values)
    if values.ndim != 1 or not len(values) or values.dtype.kind not in "fiu":
        raise InputError(f"scores have shape {values.shape} and dtype {values.dtype}")
    values = values.astype(np.float64 if values.dtype.kind != "f" else values.dtype)
    if np.isnan(values).any() or (values == np.inf).any():
        raise InputError("a score is NaN or infinite; only minus infinity, a failure, may be")
    if failed < 0:
        raise InputError(f"{failed} failures: expected 0 or more")
    return np.concatenate([values, np.full(failed, -np.inf, values.dtype)])


def _just_above(threshold, scores):
    """Return the smallest threshold for "at least" that equals "above `threshold`"."""
    if threshold == -math.inf:
        return float(scores[np.isfinite(scores)].min(initial=0))
    higher = scores[scores > threshold]
    step = np.nextafter(scores.dtype.type(threshold), scores.dtype.type(np.inf))
    return float(step) if not len(higher) else float(min(step, higher.min()))


def _rate(mated, nonmated, threshold, target):
    check_rate(target)
    wrong = int(np.count_nonzero(nonmated >= threshold))
    missed = int(np.count_nonzero(~(mated >= threshold)))
    return _error_rate(target, threshold, (wrong, len(nonmated), missed, len(mated)))
