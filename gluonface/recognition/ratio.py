"""Likelihood ratios of scores: two maps, their cost, and the choice between them. float64.

LLR is the natural logarithm of how much more often a score comes from one person than from two.
The cost of LLRs is Cllr, in bits: 0 is perfect, 1 is what no answer at all costs.

References
----------
Brümmer, du Preez, "Application-independent evaluation of speaker detection", Computer Speech and
Language 20 (2006). Lin, Lin, Weng, "A note on Platt's probabilistic outputs for support vector
machines", Machine Learning 68 (2007), for the targets of the logistic map.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any, Union

import numpy as np
import numpy.typing as npt

from ..errors import DataError, InputError

__all__ = [
    "LogisticMap",
    "RatioMap",
    "StepsMap",
    "check_score",
    "choose_map",
    "cllr",
    "fit_logistic",
    "fit_steps",
    "held_out_cllr",
    "min_cllr",
    "read_map",
    "stored_number",
]

FOLDS = 5
BETTER = 0.95  # the step map is taken when its held-out cost is at least 5 % lower


@dataclasses.dataclass(frozen=True)
class LogisticMap:
    """LLR = slope x score + offset."""

    slope: float
    offset: float

    def __call__(self, score: npt.ArrayLike) -> np.ndarray:
        """Return the LLR of each score, the same shape."""
        return self.slope * np.asarray(score, np.float64) + self.offset

    def to_dict(self) -> dict[str, Any]:
        """Return what is stored."""
        return {"map": "logistic", "slope": self.slope, "offset": self.offset}


@dataclasses.dataclass(frozen=True, eq=False)
class StepsMap:
    """A rising step function: the LLR of the last knot that is not above the score.

    Attributes
    ----------
    score, llr : numpy.ndarray, shape (knots,)
        Both rise. The first knot is minus infinity.
    """

    score: np.ndarray
    llr: np.ndarray

    def __call__(self, score: npt.ArrayLike) -> np.ndarray:
        """Return the LLR of each score, the same shape."""
        place = np.searchsorted(self.score, np.asarray(score, np.float64), side="right")
        return self.llr[np.maximum(place, 1) - 1]

    def to_dict(self) -> dict[str, Any]:
        """Return what is stored."""
        return {"map": "steps", "score": [None, *self.score[1:].tolist()], "llr": self.llr.tolist()}


RatioMap = Union[LogisticMap, StepsMap]


def cllr(same: npt.ArrayLike, different: npt.ArrayLike) -> float:
    """Return the cost, in bits, of the LLRs of same and of different pairs; each kind weighs half.

    Parameters
    ----------
    same, different : array_like, shape (n,) and (m,)
        Natural logarithms.
    """
    same, different = np.asarray(same, np.float64), np.asarray(different, np.float64)
    cost = np.logaddexp(0, -same).mean() + np.logaddexp(0, different).mean()
    return float(cost / (2 * math.log(2)))


def min_cllr(score: np.ndarray, issame: np.ndarray) -> float:
    """Return the cost of the best rising map of these very scores: what no calibration can mend.

    Parameters
    ----------
    score : numpy.ndarray, shape (n,)
    issame : numpy.ndarray of bool, shape (n,)
    """
    _, same, different = _pooled(score, issame, added=0)
    prior = math.log(same.sum()) - math.log(different.sum())
    with np.errstate(divide="ignore"):
        llr = np.log(same) - np.log(different) - prior
    # A block of one kind alone has an infinite LLR, and the pairs in it are right: no cost.
    one, other = same > 0, different > 0
    cost = (same[one] * np.logaddexp(0, -llr[one])).sum() / same.sum()
    cost += (different[other] * np.logaddexp(0, llr[other])).sum() / different.sum()
    return float(cost / (2 * math.log(2)))


def fit_logistic(score: np.ndarray, issame: np.ndarray) -> LogisticMap:
    """Fit the straight line: logistic regression with an even prior and Platt's targets.

    Platt's targets, (same + 1) / (same + 2) and 1 / (different + 2), keep the slope finite where
    the two kinds do not overlap.

    Parameters
    ----------
    score : numpy.ndarray, shape (n,)
    issame : numpy.ndarray of bool, shape (n,)

    Raises
    ------
    DataError
        All scores are equal, or those of one person are not the higher ones.
    """
    score = np.asarray(score, np.float64)
    mean, spread = score.mean(), score.std()
    if not spread > 1e-12 * max(1.0, abs(mean)):
        raise DataError(f"all {len(score)} scores are {mean:g}: nothing can be learnt from them")
    same = np.count_nonzero(issame)
    different = len(score) - same
    u = (score - mean) / spread
    target = np.where(issame, (same + 1) / (same + 2), 1 / (different + 2))
    weight = np.where(issame, 0.5 / same, 0.5 / different)

    def loss(a, c):
        z = a * u + c
        return float((weight * (np.logaddexp(0, z) - target * z)).sum())

    at, before = np.zeros(2), math.inf
    for _ in range(100):
        p = 0.5 * (1 + np.tanh(0.5 * (at[0] * u + at[1])))
        wrong, curve = weight * (p - target), weight * p * (1 - p)
        gradient = np.array([(wrong * u).sum(), wrong.sum()])
        steepest = np.abs(gradient).max()
        if steepest < 1e-14 or (before < 1e-10 and steepest >= before):  # as exact as it gets
            break
        before = steepest
        mixed = (curve * u).sum()
        step = np.linalg.solve([[(curve * u * u).sum(), mixed], [mixed, curve.sum()]], gradient)
        # Near the end the loss cannot tell a better place from a worse one, and no step is too far.
        if steepest > 1e-6:
            while loss(*(at - step)) > loss(*at):
                step /= 2
        at = at - step
    slope = float(at[0] / spread)
    if not slope > 0:
        raise DataError(
            f"scores of one person are not higher than those of two (slope {slope:.3g}): are the "
            "labels turned round, or are the scores distances?"
        )
    return LogisticMap(slope, float(at[1] - slope * mean))


def fit_steps(score: np.ndarray, issame: np.ndarray) -> StepsMap:
    """Fit the rising step function: isotonic regression, with one pair of each kind at both ends.

    The added pairs keep every LLR finite.

    Parameters
    ----------
    score : numpy.ndarray, shape (n,)
    issame : numpy.ndarray of bool, shape (n,)
    """
    knots, same, different = _pooled(score, issame, added=1)
    prior = math.log(same.sum()) - math.log(different.sum())  # with the added pairs
    return StepsMap(knots, np.log(same) - np.log(different) - prior)


def _pooled(score, issame, added):
    """Return where each block of the isotonic fit begins, and its same and different pairs.

    `added` pairs of each kind stand below all scores and above them.
    """
    from sklearn.isotonic import isotonic_regression

    values, place = np.unique(np.asarray(score, np.float64), return_inverse=True)
    issame = np.asarray(issame, bool)
    same = np.bincount(place[issame], minlength=len(values))
    different = np.bincount(place[~issame], minlength=len(values))
    if added:
        values = np.concatenate([[-np.inf], values, [np.inf]])
        same, different = (np.pad(count, 1, constant_values=added) for count in (same, different))
    total = same + different
    fitted = isotonic_regression(same / total, sample_weight=total.astype(np.float64))
    starts = np.concatenate([[0], np.flatnonzero(np.diff(fitted)) + 1])
    same, different = np.add.reduceat(same, starts), np.add.reduceat(different, starts)
    # Shares that differ by rounding alone are one block: compared as whole numbers.
    new = same[1:] * different[:-1] > same[:-1] * different[1:]
    starts_of = np.concatenate([[0], np.flatnonzero(new) + 1])
    knots = values[starts[starts_of]]
    if added:
        knots[0] = -np.inf
    return knots, np.add.reduceat(same, starts_of), np.add.reduceat(different, starts_of)


def choose_map(
    score: np.ndarray,
    issame: np.ndarray,
    bounds: Callable[[np.ndarray], tuple[float, float]],
    fold: tuple[np.ndarray, np.ndarray] | None,
) -> tuple[RatioMap, dict[str, float | None]]:
    """Return the map with the lower held-out cost, and both costs.

    Parameters
    ----------
    score : numpy.ndarray, shape (n,)
    issame : numpy.ndarray of bool, shape (n,)
    bounds : function
        From a mask of the pairs (n,) that a map is learnt from to the lowest and the highest LLR
        that they can show.
    fold : (numpy.ndarray, numpy.ndarray) or None
        In which of the `FOLDS` either side of each pair is. None: there are too few people to
        hold some out, and the map is the logistic one.

    Returns
    -------
    RatioMap
    dict
        ``logistic`` and ``steps``, in bits; None where nothing could be held out.
    """
    costs: dict[str, float | None] = {"logistic": None, "steps": None}
    line = fit_logistic(score, issame)
    if fold is None:
        return line, costs
    for name, fit in (("logistic", fit_logistic), ("steps", fit_steps)):
        costs[name] = held_out_cllr(fit, score, issame, bounds, fold)
    logistic, steps = costs["logistic"], costs["steps"]
    if logistic is None or steps is None or steps > BETTER * logistic:
        return line, costs
    return fit_steps(score, issame), costs


def held_out_cllr(
    fit: Callable[[np.ndarray, np.ndarray], RatioMap],
    score: np.ndarray,
    issame: np.ndarray,
    bounds: Callable[[np.ndarray], tuple[float, float]],
    fold: tuple[np.ndarray, np.ndarray],
) -> float | None:
    """Return the cost of LLRs of pairs that the map did not see; None if a fold cannot be fitted.

    Each fifth is held out once, and its LLRs are pooled with the others'. A pair with one side in
    the held-out fifth is left out. The parameters are those of `choose_map`.
    """
    found: tuple[list, list] = ([], [])
    for number in range(FOLDS):
        inside = (fold[0] == number) & (fold[1] == number)
        outside = (fold[0] != number) & (fold[1] != number)
        kinds = issame[outside]
        if not inside.any() or kinds.all() or not kinds.any():
            return None
        try:
            llr = fit(score[outside], kinds)(score[inside])
        except DataError:  # the scores of this part are all equal or turned round
            return None
        llr = np.clip(llr, *bounds(outside))
        found[0].append(llr[issame[inside]])
        found[1].append(llr[~issame[inside]])
    same, different = (np.concatenate(kind) for kind in found)
    return cllr(same, different) if len(same) and len(different) else None


def read_map(stored: Any, where: str) -> RatioMap:
    """Return the map of its stored form, or raise DataError that begins with `where`."""
    kind = stored.get("map") if isinstance(stored, dict) else None
    if kind == "logistic":
        slope, offset = (
            stored_number(stored.get(name), f"{where}.{name}") for name in ("slope", "offset")
        )
        if not slope > 0:
            raise DataError(
                f"{where}.slope is {slope:g}, expected more than 0: scores of one person are not "
                "higher; are labels turned round?"
            )
        return LogisticMap(slope, offset)
    if kind != "steps":
        raise DataError(f"{where}.map is {kind!r}; expected logistic or steps")
    knots, llr = stored.get("score"), stored.get("llr")
    if not (isinstance(knots, list) and isinstance(llr, list) and len(knots) == len(llr) > 0):
        raise DataError(f"{where} has no lists score and llr of one length")
    if knots[0] is not None:
        raise DataError(f"{where}.score begins with {knots[0]!r}; expected null, minus infinity")
    score = np.array([-np.inf, *(stored_number(v, f"{where}.score") for v in knots[1:])])
    levels = np.array([stored_number(v, f"{where}.llr") for v in llr])
    for name, values in (("score", score), ("llr", levels)):
        falls = np.flatnonzero(~(np.diff(values) > 0))
        if len(falls):
            raise DataError(f"{where}.{name} does not rise at knot {falls[0] + 1}")
    return StepsMap(score, levels)


def stored_number(value, where):
    """Return a stored finite number, or raise DataError."""
    try:
        if not isinstance(value, bool) and isinstance(value, (int, float)):
            number = float(value)
            if math.isfinite(number):
                return number
    except OverflowError:  # a whole number of hundreds of digits
        pass
    raise DataError(f"{where} is {repr(value)[:60]}; expected a finite number")


def check_score(score: npt.ArrayLike) -> np.ndarray:
    """Return scores as float64, or raise InputError if one is not a finite number."""
    array = np.asarray(score)
    if array.dtype.kind not in "fiu" or not np.isfinite(array).all():
        raise InputError(f"score is {score!r}; expected finite numbers, cosines in -1..1")
    return array.astype(np.float64)
