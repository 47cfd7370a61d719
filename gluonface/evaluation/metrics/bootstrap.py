"""Confidence intervals by drawing people (or templates) again, with replacement. Pure NumPy.

Pairs that share an image or a person are not independent, so people are drawn, not pairs. A pair
of two people drawn p and q times counts p * q times.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from ...errors import InputError
from .operating_points import OperatingPoint, allowed_accepts, strict_points, with_intervals

__all__ = [
    "LEVEL",
    "draw",
    "intervals",
    "pair_intervals",
    "points_with_intervals",
    "share_intervals",
    "share_replicates",
    "tar_replicates",
]

LEVEL = 0.95
_SEED = 20070710


def draw(units: int, replicates: int, seed: int = _SEED) -> Iterator[np.ndarray]:
    """Yield `replicates` times how often each of `units` is drawn in as many draws, (units,)."""
    check_draws(replicates)
    rng = np.random.default_rng(seed)
    for _ in range(replicates):
        yield np.bincount(rng.integers(0, units, units), minlength=units)


def check_draws(replicates: int) -> None:
    """Raise InputError unless `replicates` is a number of draws."""
    if isinstance(replicates, bool) or not isinstance(replicates, int) or replicates < 2:
        raise InputError(f"bootstrap is {replicates!r}; expected the number of draws, 2 or more")


def tar_replicates(
    genuine: tuple,
    impostor: tuple,
    units: int,
    targets: Sequence[float],
    replicates: int,
    seed: int = _SEED,
) -> np.ndarray:
    """Return the strict TAR at each FAR in each draw.

    Parameters
    ----------
    genuine : (scores, weigh)
        Scores of the same pairs (n,), and a function from the draws (units,) to the weight of each.
    impostor : (scores, weigh, total)
        The highest scores of the different pairs, descending, a function to their weights, and
        one to the weight of all different pairs, those not held included.
    units : int
        How many people or templates there are to draw from.
    targets : sequence of float
    replicates : int
    seed : int

    Returns
    -------
    numpy.ndarray, shape (replicates, targets)
        NaN in a draw without a same or without a different pair.
    """
    check_draws(replicates)
    order = np.argsort(-genuine[0], kind="stable")
    scores = -genuine[0][order]  # ascending, for searchsorted
    top, weigh, total = impostor
    found = np.full((replicates, len(targets)), np.nan)
    for row, drawn in zip(found, draw(units, replicates, seed)):
        right = np.concatenate([[0], np.cumsum(genuine[1](drawn)[order])])
        wrong = np.cumsum(weigh(drawn))
        everything = int(total(drawn))
        if not right[-1] or not everything:
            continue  # no drawn person has a pair
        for place, target in enumerate(targets):
            allowed = allowed_accepts(target, everything)
            if allowed >= everything:
                threshold = -np.inf
            else:
                threshold = top[min(np.searchsorted(wrong, allowed, side="right"), len(top) - 1)]
            accepted = np.searchsorted(scores, -threshold, side="left")
            row[place] = right[accepted] / right[-1]
    return found


def points_with_intervals(
    points: Iterable[OperatingPoint], genuine: tuple, impostor: tuple, units: int, replicates: int
) -> tuple[OperatingPoint, ...]:
    """Return operating `points`, the strict ones with their intervals.

    The other arguments are those of `tar_replicates`.
    """
    targets = [point.target for point in strict_points(points)]
    found = tar_replicates(genuine, impostor, units, targets, replicates)
    return with_intervals(points, intervals(found))


def pair_intervals(
    points: Iterable[OperatingPoint], score: np.ndarray, same: np.ndarray, replicates: int
) -> tuple[OperatingPoint, ...]:
    """Return operating `points` with intervals from draws of pairs.

    Parameters
    ----------
    points : sequence of OperatingPoint
    score : numpy.ndarray, shape (n,)
    same : numpy.ndarray of bool, shape (n,)
    replicates : int
    """
    mine, others = np.flatnonzero(same), np.flatnonzero(~same)
    others = others[np.argsort(-score[others], kind="stable")]
    return points_with_intervals(
        points,
        (score[mine], lambda drawn: drawn[mine]),
        (score[others], lambda drawn: drawn[others], lambda drawn: drawn[others].sum()),
        len(score),
        replicates,
    )


def share_replicates(
    hits: np.ndarray, unit: np.ndarray, units: int, replicates: int, seed: int = _SEED
) -> tuple[np.ndarray, np.ndarray]:
    """Count the hits of each draw, for each column of `hits` (n, m) of bool.

    Parameters
    ----------
    hits : numpy.ndarray of bool, shape (n, m)
    unit : numpy.ndarray of int, shape (n,)
        To which of `units` people each row belongs.
    units, replicates, seed
        As for `tar_replicates`.

    Returns
    -------
    sums : numpy.ndarray, shape (replicates, m)
    weights : numpy.ndarray, shape (replicates,)
        Rows drawn.
    """
    check_draws(replicates)
    sums, weights = np.zeros((replicates, hits.shape[1])), np.zeros(replicates)
    for place, drawn in enumerate(draw(units, replicates, seed)):
        weight = drawn[unit].astype(np.float64)
        sums[place], weights[place] = weight @ hits, weight.sum()
    return sums, weights


def share_intervals(
    hits: np.ndarray, unit: np.ndarray, units: int, replicates: int, seed: int = _SEED
) -> list[tuple]:
    """Return (low, high) of the share of hits; arguments as for `share_replicates`."""
    sums, weights = share_replicates(hits, unit, units, replicates, seed)
    with np.errstate(invalid="ignore"):
        return intervals(sums / weights[:, None])


def intervals(replicates: np.ndarray) -> list[tuple]:
    """Return (low, high) of the middle 95 % of each column of `replicates` (draws, m).

    Draws with a NaN do not count; (None, None) where none is left.
    """
    known = replicates[~np.isnan(replicates).any(axis=1)]
    if not len(known):
        return [(None, None)] * replicates.shape[1]
    ends = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return [(float(low), float(high)) for low, high in ends.T]
