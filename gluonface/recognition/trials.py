"""How many independent trials a set of pairs is, and thresholds with error rates and intervals.

Pairs of the same two people are not independent: a set of P people has P (P - 1) / 2 trials of two
people, however many images there are. Rates are supported, and intervals computed, by that number.

References
----------
ISO/IEC 19795-1: the rule of 3 (below 3 / trials nothing can be said of a rate) and the rule of 30
(30 errors give a rate to within 30 %, with 90 % confidence). Clopper, Pearson, "The use of
confidence or fiducial limits illustrated in the case of the binomial", Biometrika 26 (1934).
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from ..errors import InputError
from ..evaluation.metrics import bootstrap
from ..evaluation.metrics.operating_points import operating_points
from ..evaluation.metrics.rates import check_issame
from ..evaluation.results.tables import rate_text
from .ratio import FOLDS

__all__ = [
    "INTERVALS",
    "RULE_OF_30",
    "CalibrationPoint",
    "Trials",
    "check_people",
    "check_rate",
    "check_scores",
    "clopper_pearson",
    "finite_number",
    "people_needed",
    "plain_rate",
    "require_support",
    "smallest_rate",
    "supports",
]

LADDER = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)  # rates that are tried where none is asked for
STEPS = (1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0)  # of each decade, for `thresholds`
RULE_OF_3, RULE_OF_30 = 3, 30
INTERVALS = ("people", "exact, people pairs", "exact, pairs")


@dataclasses.dataclass(frozen=True)
class CalibrationPoint:
    """One threshold and the error rates that were measured at it.

    Attributes
    ----------
    fmr_target : float
        The false match rate asked for.
    threshold : float
        Cosine. Scores above it are one person.
    fmr, fmr_low, fmr_high : float
        Share of different pairs above the threshold, and its 95 % interval.
    false_matches : int
        Such pairs.
    interval : {"people", "exact, people pairs", "exact, pairs"}
        How the interval was computed: draws of people; the exact binomial of 0 in the pairs of
        people; or the exact binomial of pairs, as if they were independent.
    fnmr, fnmr_low, fnmr_high : float
        Share of same pairs that are not above it, failures included, and its interval.
    support : {"30", "3"}
        Which rule the number of trials keeps.
    """

    fmr_target: float
    threshold: float
    fmr: float
    false_matches: int
    fmr_low: float
    fmr_high: float
    interval: str
    fnmr: float
    fnmr_low: float
    fnmr_high: float
    support: str


class Trials:
    """Scores of pairs, and how many independent trials they are.

    Parameters
    ----------
    score : numpy.ndarray, shape (n,)
    issame : numpy.ndarray of bool, shape (n,)
    people : (numpy.ndarray, numpy.ndarray) or None
        The numbers of the people of either side, in the order of their names.
    """

    def __init__(self, score, issame, people):
        self.score, self.issame, self.people = score, issame, people
        if people is None:
            self.trials = int(np.count_nonzero(~issame))
            self.same_trials = int(np.count_nonzero(issame))
            return
        a, b = people
        self.count = len(np.unique(np.concatenate([a, b])))
        low, high = np.minimum(a, b), np.maximum(a, b)
        self._size = int(high.max(initial=0)) + 1
        pair_key = low.astype(np.int64) * self._size + high
        self.trials = len(np.unique(pair_key[~issame]))
        self.same_trials = len(np.unique(a[issame]))

    def part(self, mask):
        """Return the pairs of a mask (n,)."""
        people = self.people and tuple(side[mask] for side in self.people)
        return Trials(self.score[mask], self.issame[mask], people)

    def bounds(self):
        """Return the lowest and the highest LLR that these trials can show."""
        return -math.log(self.same_trials + 1), math.log(self.trials + 1)

    def folds(self):
        """Return in which fifth either side of each pair is; None: too few people or pairs."""
        if self.people is None:
            number = np.arange(len(self.score)) * FOLDS // len(self.score)
            return (number, number) if len(self.score) >= 2 * FOLDS else None
        known, place = np.unique(np.concatenate(self.people), return_inverse=True)
        if len(known) < 2 * FOLDS:
            return None
        return tuple(np.split(place % FOLDS, 2))

    def supported_rates(self, fmr, name):
        """Return the rates asked for, the highest first; all must be supported."""
        people = None if self.people is None else self.count
        if fmr is not None:
            rates = [check_rate(f) for f in np.ravel(np.asarray(fmr, object)).tolist()]
            if not rates:
                raise InputError("fmr is empty; expected false match rates")
        else:
            rates = [f for f in LADDER if supports(f, self.trials)] or [LADDER[0]]
        for rate in rates:
            require_support(rate, self.trials, people, name)
        return sorted(dict.fromkeys(rates), reverse=True)

    def thresholds(self):
        """Return (rate, threshold) in fine steps, down to the smallest supported rate."""
        rates = [
            s * 10.0**-power for power in range(1, 10) for s in STEPS if s * 10.0**-power < 0.5
        ]
        rates = sorted({float(f"{r:.3g}") for r in rates if supports(r, self.trials)}, reverse=True)
        smallest = RULE_OF_3 / self.trials
        if not rates or rates[-1] > smallest * (1 + 1e-9):
            rates.append(smallest)
        return tuple((point.target, point.threshold) for point in self._operating_points(rates))

    def _operating_points(self, rates):
        genuine, impostor = self.score[self.issame], np.sort(self.score[~self.issame])[::-1]
        found = operating_points(genuine, impostor, len(impostor), rates)
        lowest = self.score[np.isfinite(self.score)].min()
        # A rate of 1, or failures alone at the rank, would give a threshold of minus infinity.
        floor = float(np.nextafter(lowest, -np.inf))
        return [
            point if math.isfinite(point.threshold) else dataclasses.replace(point, threshold=floor)
            for point in found
        ]

    def points(self, rates, draws):
        """Return the `CalibrationPoint` of each rate with its intervals."""
        plain = self._operating_points(rates)
        limits = np.array([point.threshold for point in plain])
        matched = self.score[:, None] > limits  # (pairs, rates)
        wrong = np.count_nonzero(matched[~self.issame], axis=0)
        missed = np.count_nonzero(~matched[self.issame], axis=0)
        same, different = np.count_nonzero(self.issame), np.count_nonzero(~self.issame)
        if self.people is None:
            fmr = [(*clopper_pearson(k, different), INTERVALS[2]) for k in wrong.tolist()]
            fnmr = [clopper_pearson(k, same) for k in missed.tolist()]
        else:
            fmr, fnmr = self._intervals_of_people(matched, wrong, missed, draws)
        return tuple(
            CalibrationPoint(
                fmr_target=float(point.target),
                threshold=point.threshold,
                fmr=int(k) / different,
                false_matches=int(k),
                fmr_low=low,
                fmr_high=high,
                interval=kind,
                fnmr=int(m) / same,
                fnmr_low=miss_low,
                fnmr_high=miss_high,
                support="30" if supports(point.target, self.trials, RULE_OF_30) else "3",
            )
            for point, k, m, (low, high, kind), (miss_low, miss_high) in zip(
                plain, wrong, missed, fmr, fnmr
            )
        )

    def _intervals_of_people(self, matched, wrong, missed, draws):
        """Return the intervals of both rates from draws of people at fixed thresholds."""
        a, b = self.people
        other, own = ~self.issame, self.issame
        # Pairs of the same two people have one weight: they are added up first.
        low, high = np.minimum(a, b)[other], np.maximum(a, b)[other]
        keys, place = np.unique(low.astype(np.int64) * self._size + high, return_inverse=True)
        first, second = keys // self._size, keys % self._size
        totals = np.bincount(place, minlength=len(keys))
        hits = _sums(place, matched[other], len(keys))
        owners, own_place = np.unique(a[own], return_inverse=True)
        own_totals = np.bincount(own_place, minlength=len(owners))
        own_hits = _sums(own_place, ~matched[own], len(owners))
        shares = np.full((2, draws, matched.shape[1]), np.nan)
        for row, drawn in enumerate(bootstrap.draw(self._size, draws)):
            for side, weight, part, whole in (
                (0, drawn[first] * drawn[second], hits, totals),
                (1, drawn[owners], own_hits, own_totals),
            ):
                total = weight @ whole
                if total:
                    shares[side, row] = weight @ part / total
        fmr = [
            (*ends, INTERVALS[0]) if k and None not in ends
            else (*clopper_pearson(min(int(k), self.trials), self.trials), INTERVALS[1])
            for k, ends in zip(wrong, bootstrap.intervals(shares[0]))
        ]  # fmt: skip
        same = int(own_totals.sum())
        fnmr = []
        for m, ends in zip(missed.tolist(), bootstrap.intervals(shares[1])):
            if m in (0, same) or None in ends:
                ends = clopper_pearson(self.same_trials if m else 0, self.same_trials)
            fnmr.append(ends)
        return fmr, fnmr


def _sums(place, flags, count):
    """Return the sums of `flags` (n, m) by place, (count, m) float64."""
    return np.stack(
        [np.bincount(place, weights=column, minlength=count) for column in flags.T], axis=1
    )


def clopper_pearson(count: int, total: int) -> tuple[float, float]:
    """Return the exact 95 % interval of a share: `count` of `total` independent trials."""
    from scipy.special import betaincinv

    tail = (1 - bootstrap.LEVEL) / 2
    low = 0.0 if count == 0 else float(betaincinv(count, total - count + 1, tail))
    high = 1.0 if count == total else float(betaincinv(count + 1, total - count, 1 - tail))
    return low, high


# --- the rules of 3 and of 30 -------------------------------------------------------------------


def supports(fmr: float, trials: int, rule: int = RULE_OF_3) -> bool:
    """Return whether so many trials are enough to measure a false match rate."""
    return fmr * trials >= rule * (1 - 1e-9)


def people_needed(fmr: float, rule: int = RULE_OF_3) -> int:
    """Return how many people have ``rule / fmr`` pairs of two people."""
    pairs = math.ceil(rule / fmr * (1 - 1e-12))
    return math.ceil((1 + math.sqrt(1 + 8 * pairs)) / 2 * (1 - 1e-15))


def require_support(fmr: float, trials: int, people: int | None, name: str) -> None:
    """Raise InputError if a false match rate breaks the rule of 3."""
    if supports(fmr, trials):
        return
    needed = math.ceil(RULE_OF_3 / fmr * (1 - 1e-12))
    what = "pairs of two people" if people is not None else "pairs of different people"
    start = f"FMR {plain_rate(fmr)} needs {needed:,} {what}; {name} has {trials:,}"
    who = "" if people is None else f" ({people} people)"
    smallest = smallest_rate(trials)
    more = (
        f"{people_needed(fmr):,} are enough"
        if people is not None
        else f"{needed - trials:,} more are enough"
    )
    add = f"add {'people' if people is not None else 'such pairs'}: {more}"
    if smallest is None:
        raise InputError(f"{start}{who}. {add[0].upper()}{add[1:]}.")
    raise InputError(f"{start}{who}. Ask for {plain_rate(smallest)} or more, or {add}.")


def smallest_rate(trials: int) -> float | None:
    """Return the smallest supported rate, rounded up to two digits; None if there is none."""
    if trials < RULE_OF_3:
        return None
    rate = RULE_OF_3 / trials
    power = math.floor(math.log10(rate)) - 1
    return min(1.0, float(f"{math.ceil(rate / 10.0**power * (1 - 1e-9)) * 10.0**power:.2g}"))


def plain_rate(rate: float) -> str:
    """Return a rate as one types it: 0.001, 1e-4."""
    return rate_text(rate).replace("\u2212", "-")


# --- checks -------------------------------------------------------------------------------------


def check_scores(score: Any, issame: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return scores as float64 and labels as bool, (n,) each, or raise InputError.

    Minus infinity, a failure, is allowed; both kinds of pairs must have scores.
    """
    score = np.asarray(score)
    if score.ndim != 1 or not len(score) or score.dtype.kind not in "fiu":
        raise InputError(
            f"score has shape {score.shape} and dtype {score.dtype}; expected one number a pair"
        )
    score = score.astype(np.float64)
    if np.isnan(score).any() or (score == np.inf).any():
        row = int(np.argmax(np.isnan(score) | (score == np.inf)))
        raise InputError(
            f"score of pair {row} is {score[row]}; expected cosines (minus infinity for a pair "
            "that could not be compared)"
        )
    issame = check_issame(issame, len(score))
    finite = np.isfinite(score)
    same, different = np.count_nonzero(issame & finite), np.count_nonzero(~issame & finite)
    if not same or not different:
        raise InputError(
            f"there are {same} same and {different} different pairs with a score; a calibration "
            "needs both kinds"
        )
    return score, issame


def check_people(people: Any, issame: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the numbers of the people of either side, in the order of their names, or None."""
    if people is None:
        return None
    sides = people if isinstance(people, (tuple, list)) else np.asarray(people)
    if isinstance(sides, np.ndarray) and sides.ndim == 2 and sides.shape[1] == 2:
        sides = sides.T
    sides = [np.asarray(side) for side in sides]
    if len(sides) != 2 or any(side.shape != issame.shape for side in sides):
        raise InputError(
            f"people has the shapes {[side.shape for side in sides]}; expected who is on the first "
            f"and on the second image of each pair: two arrays of shape {issame.shape}"
        )
    if any(side.dtype.kind not in "iuUS" for side in sides) or (
        len({side.dtype.kind in "iu" for side in sides}) == 2
    ):
        raise InputError(
            f"people holds {sides[0].dtype} and {sides[1].dtype}; expected names or whole numbers"
        )
    place = np.unique(np.concatenate(sides), return_inverse=True)[1].reshape(-1)
    a, b = np.split(place, 2)
    wrong = np.flatnonzero((a == b) != issame)
    if len(wrong):
        row = int(wrong[0])
        names = sides[0][row], sides[1][row]
        raise InputError(
            f"pair {row} is of {names[0]} and {names[1]}, but issame says "
            f"{'one person' if issame[row] else 'two people'}"
        )
    return a, b


def check_rate(value: Any) -> float:
    """Return a false match rate, above 0 and up to 1, or raise InputError."""
    rate = finite_number(value, "FMR")
    if not 0 < rate <= 1:
        raise InputError(f"FMR is {value!r}; expected a fraction above 0 and up to 1, such as 1e-3")
    return rate


def finite_number(value: Any, name: str) -> float:
    """Return a finite number, or raise InputError."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{name} is {value!r}; expected a number") from None
    if isinstance(value, bool) or not math.isfinite(number):
        raise InputError(f"{name} is {value!r}; expected a finite number")
    return number
