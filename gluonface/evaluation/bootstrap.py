"""Confidence intervals by drawing people (or templates) again, with replacement. Pure NumPy.

Pairs that share an image or a person are not independent, so people are drawn, not pairs. A pair
of two people drawn p and q times counts p * q times.
"""

import numpy as np

from ..errors import InputError
from .metrics import allowed_accepts

__all__ = ["LEVEL", "draw", "share_intervals", "tar_intervals"]

LEVEL = 0.95
_SEED = 20070710


def draw(units, replicates, seed=_SEED):
    """Yield `replicates` times how often each of `units` is drawn in as many draws, (units,)."""
    if isinstance(replicates, bool) or not isinstance(replicates, int) or replicates < 2:
        raise InputError(f"bootstrap is {replicates!r}; expected the number of draws, 2 or more")
    rng = np.random.default_rng(seed)
    for _ in range(replicates):
        yield np.bincount(rng.integers(0, units, units), minlength=units)


def tar_intervals(genuine, impostor, units, targets, replicates, seed=_SEED):
    """Return (low, high) of the strict TAR at each FAR.

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
    list of tuple of float
        The middle 95 % of the replicates.
    """
    order = np.argsort(-genuine[0], kind="stable")
    scores = -genuine[0][order]  # ascending, for searchsorted
    top, weigh, total = impostor
    found = []
    for drawn in draw(units, replicates, seed):
        right = np.concatenate([[0], np.cumsum(genuine[1](drawn)[order])])
        wrong = np.cumsum(weigh(drawn))
        everything = int(total(drawn))
        if not right[-1] or not everything:
            continue  # nobody was drawn who has a pair
        row = []
        for target in targets:
            allowed = allowed_accepts(target, everything)
            if allowed >= everything:
                threshold = -np.inf
            else:
                threshold = top[min(np.searchsorted(wrong, allowed, side="right"), len(top) - 1)]
            accepted = np.searchsorted(scores, -threshold, side="left")
            row.append(right[accepted] / right[-1])
        found.append(row)
    return _middle(found, len(targets))


def share_intervals(hits, unit, units, replicates, seed=_SEED):
    """Return (low, high) of the share of hits, for each column of `hits` (n, m) of bool.

    `unit` (n,) says to which of `units` people each row belongs.
    """
    found = []
    for drawn in draw(units, replicates, seed):
        weight = drawn[unit].astype(np.float64)
        if weight.sum():
            found.append(weight @ hits / weight.sum())
    return _middle(found, hits.shape[1])


def _middle(found, columns):
    if not found:
        return [(None, None)] * columns
    ends = np.quantile(np.asarray(found), [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return [(float(low), float(high)) for low, high in ends.T]
