"""Error rates of verification by group, at one threshold for all groups. Pure NumPy.

References
----------
Grother, Ngan, Hanaoka, "Face Recognition Vendor Test, Part 3: Demographic Effects", NISTIR 8280,
2019; Wilson, "Probable inference, the law of succession, and statistical inference", 1927.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import InputError
from .folds import kfold_accuracy
from .operating_points import operating_points, without_infinities
from .rates import check_pairs

__all__ = [
    "ACROSS",
    "GroupRate",
    "GroupRates",
    "GroupRatio",
    "GroupTable",
    "group_rates",
    "wilson_interval",
]

ACROSS = " | "  # between the groups of a pair of two groups
DEFAULT_FMRS = (1e-3, 1e-4)
_FALLBACK = (1e-2, 1e-1)  # of small sets
_Z = 1.959963984540054  # of 95 %


@dataclasses.dataclass(frozen=True)
class GroupRate:
    """Errors in the pairs of one group, or of two groups, at the threshold of a table.

    Attributes
    ----------
    group : str
        Its name, or "A | B" for pairs of an image of A and one of B.
    same, different : int
        Pairs of either kind.
    accuracy : float
        Share of its pairs that are called right.
    fmr, fnmr : float or None
        False match rate and false non-match rate. None: `different` is less than 1 / target, or
        there is no same pair.
    false_matches, false_nonmatches : int
        How many of `different` and of `same`.
    fmr_low, fmr_high, fnmr_low, fnmr_high : float or None
        95 % Wilson intervals of the shares; None where there is no such pair.
    """

    group: str
    same: int
    different: int
    accuracy: float
    fmr: float | None
    false_matches: int
    fmr_low: float | None
    fmr_high: float | None
    fnmr: float | None
    false_nonmatches: int
    fnmr_low: float | None
    fnmr_high: float | None


@dataclasses.dataclass(frozen=True)
class GroupRatio:
    """How far groups differ in a rate: the largest over the smallest.

    Attributes
    ----------
    largest, smallest : str
        The groups.
    ratio : float or None
        None where the smallest rate is 0.
    """

    largest: str
    smallest: str
    ratio: float | None


@dataclasses.dataclass(frozen=True)
class GroupTable:
    """All groups at one threshold.

    Attributes
    ----------
    target : float
        The false match rate over all different pairs that sets the threshold.
    threshold : float
        A cosine; a pair is accepted above it.
    fmr, fnmr : float
        Over all pairs.
    rates : tuple of GroupRate
        Groups first, then pairs of groups, each by name.
    fmr_ratio, fnmr_ratio : GroupRatio or None
        Over the groups that have the rate, without pairs of groups; None with fewer than two.
    """

    target: float
    threshold: float
    fmr: float
    fnmr: float
    rates: tuple[GroupRate, ...]
    fmr_ratio: GroupRatio | None
    fnmr_ratio: GroupRatio | None

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        return without_infinities(dataclasses.asdict(self))


@dataclasses.dataclass(frozen=True)
class GroupRates:
    """Verification by group.

    Attributes
    ----------
    tables : tuple of GroupTable
        One for each false match rate.
    fold_accuracy : dict of str to float
        By group, at the thresholds of the folds.
    fold_accuracy_std : dict of str to float
        Population standard deviation over the folds, of groups that have folds of their own.
    mean, std : float
        Of `fold_accuracy` over the groups, without pairs of groups; `std` with n - 1, 0 for one.
    worst : str
        The group with the lowest.
    own_folds : bool
        Whether each group has folds of its own, as in RFW.
    """

    tables: tuple[GroupTable, ...]
    fold_accuracy: dict[str, float]
    fold_accuracy_std: dict[str, float]
    mean: float
    std: float
    worst: str
    own_folds: bool

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        return {**dataclasses.asdict(self), "tables": [table.to_dict() for table in self.tables]}


def wilson_interval(count: int, total: int) -> tuple[float, float]:
    """Return the 95 % Wilson score interval of the share `count` / `total`.

    It holds for independent trials. Pairs that share an image or a person are not, so the true
    uncertainty is larger.
    """
    if not 0 <= count <= total or total < 1:
        raise InputError(f"{count} of {total}: a count of a number of trials was expected")
    share, square = count / total, _Z * _Z
    middle = share + square / (2 * total)
    half = _Z * math.sqrt(share * (1 - share) / total + square / (4 * total * total))
    low, high = ((middle + sign * half) / (1 + square / total) for sign in (-1, 1))
    # Exact at the ends, where rounding would leave 1e-17.
    return (0.0 if count == 0 else low), (1.0 if count == total else high)


def group_rates(
    score: npt.ArrayLike,
    issame: npt.ArrayLike,
    groups: Sequence[str],
    right: npt.ArrayLike,
    *,
    fmrs: Sequence[float] | None = None,
    distance: npt.ArrayLike | None = None,
    fold: npt.ArrayLike | None = None,
) -> GroupRates:
    """Errors by group at thresholds that all groups share.

    Parameters
    ----------
    score : array_like, shape (n,)
        Cosines of the pairs.
    issame : array_like of bool, shape (n,)
        Both kinds must occur.
    groups : sequence of str, of length n
        The group of each pair, "A | B" for two.
    right : array_like of bool, shape (n,)
        Whether each pair is called right at the threshold of its fold.
    fmrs : sequence of float, optional
        False match rates over all different pairs. Default: those of 1e-3 and 1e-4 that allow at
        least one of the different pairs, or else the smallest of 1e-2 and 1e-1 that does.
    distance, fold : array_like, shape (n,), optional
        Squared distances and folds: each group is folded on its own then.

    Returns
    -------
    GroupRates

    Raises
    ------
    InputError
        One kind of pairs, or arrays of different lengths.
    """
    score, issame = check_pairs(score, issame, "score")
    group, right = np.asarray(groups, str), np.asarray(right, bool)
    if group.shape != score.shape or right.shape != score.shape:
        raise InputError(f"{len(groups)} groups for {len(score)} pairs; one each was expected")
    genuine, impostor = score[issame], np.sort(score[~issame])[::-1]
    if not len(genuine) or not len(impostor):
        raise InputError("rates by group need same and different pairs")
    names = sorted(set(group.tolist()), key=lambda name: (ACROSS in name, name))
    within = [name for name in names if ACROSS not in name] or names
    tables = []
    for point in operating_points(genuine, impostor, len(impostor), _targets(fmrs, impostor)):
        accepted = score > point.threshold
        rates = tuple(_rate(name, group == name, issame, accepted, point.target) for name in names)
        own = [rate for rate in rates if rate.group in within]
        tables.append(
            GroupTable(
                target=point.target,
                threshold=point.threshold,
                fmr=point.far,
                fnmr=1 - point.tar,
                rates=rates,
                fmr_ratio=_ratio(own, "fmr"),
                fnmr_ratio=_ratio(own, "fnmr"),
            )
        )
    own_folds = distance is not None and fold is not None
    accuracy, deviation = {}, {}
    for name in names:
        mine = group == name
        if own_folds:
            one = kfold_accuracy(np.asarray(distance)[mine], issame[mine], np.asarray(fold)[mine])
            accuracy[name], deviation[name] = one.accuracy, one.std
        else:
            accuracy[name] = float(right[mine].mean())
    values = [accuracy[name] for name in within]
    return GroupRates(
        tables=tuple(tables),
        fold_accuracy=accuracy,
        fold_accuracy_std=deviation,
        mean=float(np.mean(values)),
        std=float(np.std(values, ddof=1)) if len(values) > 1 else 0.0,
        worst=min(within, key=lambda name: accuracy[name]),
        own_folds=own_folds,
    )


def _targets(fmrs, impostor):
    if fmrs is not None:
        return list(fmrs)
    fitting = [fmr for fmr in DEFAULT_FMRS if fmr * len(impostor) >= 1 - 1e-9]
    coarse = [fmr for fmr in _FALLBACK if fmr * len(impostor) >= 1 - 1e-9]
    return fitting or coarse[:1] or [_FALLBACK[-1]]


def _rate(name, mine, issame, accepted, target):
    """Return the `GroupRate` of the pairs `mine`."""
    same, different = mine & issame, mine & ~issame
    counts = int(same.sum()), int(different.sum())
    missed, wrong = int((same & ~accepted).sum()), int((different & accepted).sum())
    lows = [
        wilson_interval(count, total) if total else (None, None)
        for count, total in ((wrong, counts[1]), (missed, counts[0]))
    ]
    return GroupRate(
        group=name,
        same=counts[0],
        different=counts[1],
        accuracy=1 - (missed + wrong) / sum(counts),
        fmr=wrong / counts[1] if counts[1] and counts[1] * target >= 1 - 1e-9 else None,
        false_matches=wrong,
        fmr_low=lows[0][0],
        fmr_high=lows[0][1],
        fnmr=missed / counts[0] if counts[0] else None,
        false_nonmatches=missed,
        fnmr_low=lows[1][0],
        fnmr_high=lows[1][1],
    )


def _ratio(rates, field):
    """Return the `GroupRatio` of a rate."""
    known = [(getattr(rate, field), rate.group) for rate in rates]
    known = [(value, group) for value, group in known if value is not None]
    if len(known) < 2:
        return None
    (low, smallest), (high, largest) = min(known), max(known)
    return GroupRatio(largest, smallest, high / low if low else None)
