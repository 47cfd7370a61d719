"""The rates of all pairs of images: what the protocols `folder`, `ifrt` and `nist` share."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...errors import InputError
from ..metrics import bootstrap
from ..metrics.error_rates import error_rate_above, error_rate_of
from ..metrics.operating_points import strict_points
from ..results.evaluation_result import EvaluationResult
from ..results.pair_result import result_of_scores
from ..scores.all_pairs import AllPairs, CrossPairs
from ..scores.feature_matrix import multiply

__all__ = ["compare_all", "compare_cross"]


def compare_all(
    features: Any,
    identity: Any,
    group: Any = None,
    *,
    fars: Sequence[float],
    reference: str | None = None,
    draws: int = 0,
    product: Callable[..., np.ndarray] = multiply,
    dtype: Any = np.float32,
    progress: Callable[[int], Any] | None = None,
) -> tuple[EvaluationResult, dict[str, EvaluationResult]]:
    """Compare all unordered pairs of images.

    A zero vector is a failure to make a template, as NIST counts it: its same pairs do not match,
    its different ones rightly do not.

    Parameters
    ----------
    features : array_like, shape (n, D)
        Any length; normalised here. May be mapped from disk.
    identity : array_like, shape (n,)
        Numbers or text.
    group : array_like, shape (n,), optional
        A pair within a group counts for it; every pair counts for all.
    fars : sequence of float
    reference : str, optional
        The group whose strict thresholds all are judged at in ``error_rates``. Default: all
        together. Intervals of FNMR there hold the threshold fixed.
    draws : int, default 0
        Bootstrap draws of identities.
    product, dtype
        See `scores.feature_matrix`.
    progress : function, optional
        Called with the number of pairs done since the last call.

    Returns
    -------
    whole : EvaluationResult
    groups : dict of str to EvaluationResult
        By group, in sorted order; empty without groups. ``error_rates`` of each, and of the whole,
        are those at the one threshold.

    Raises
    ------
    InputError
        An identity in two groups, no same or no different pair, or a value that is not finite.
    """
    pairs = AllPairs(features, identity, group, product, dtype)
    if reference is not None and reference not in pairs.groups:
        raise InputError(
            f"group {reference!r} is unknown; there are {', '.join(pairs.groups) or 'none'}"
        )
    whole, scores = pairs.compare(fars, progress)
    owners = pairs.owner, pairs.owner
    result = _result(whole, np.ones(len(pairs.owner), bool), pairs, owners, draws)
    found = {}
    for number, (name, own) in enumerate(zip(map(str, pairs.groups), scores)):
        of_group = _result(own, pairs.group == number, pairs, owners, draws, ())
        found[name] = dataclasses.replace(of_group, name=name)
    if not scores:
        return result, found
    setting = strict_points((result if reference is None else found[reference]).operating_points)
    limits = {p.target: p.threshold for p in setting}
    for number, (name, own) in enumerate(zip(found, scores)):
        rates = _error_rates_at(limits, name, own, pairs, number, draws)
        found[name] = dataclasses.replace(found[name], error_rates=rates)
    if reference is None:  # the interval then holds that the threshold is drawn too
        rates = tuple(error_rate_of(p, dtype) for p in setting)
    else:
        rates = _error_rates_at(limits, None, whole, pairs, None, draws)
    return dataclasses.replace(result, error_rates=rates), found


def _result(scores, mask, pairs, owners, draws, notes=None):
    """Return the result of the images in `mask`, with their numbers among the counts."""
    images = np.bincount(pairs.owner[mask], minlength=pairs.people)

    def everything(drawn):
        weight = drawn * images
        return (int(weight.sum()) ** 2 - int((weight**2).sum())) // 2

    notes = pairs.notes if notes is None else notes
    result = result_of_scores(scores, notes, owners, everything, draws)
    members = {"images": int(mask.sum()), "identities": int(np.count_nonzero(images))}
    return dataclasses.replace(result, counts={**members, **result.counts})


def _error_rates_at(thresholds, name, scores, pairs, number, draws):
    """Return the `ErrorRate` of one group at given strict thresholds, by target."""
    genuine, rows, _ = scores.same()
    if not len(genuine) or not scores.different or not thresholds:
        return ()
    limits = np.array(list(thresholds.values()))
    if scores.top.complete or limits.min() >= scores.top.floor:
        highest = scores.top.scores()
        wrong = [int(np.count_nonzero(highest > limit)) for limit in limits]
    else:  # worse than what set the threshold: its scores have to be counted again
        wrong = pairs.count_above(limits, number)
    intervals = [(None, None)] * len(limits)
    if draws:
        hits, mate = genuine[:, None] > limits, pairs.owner[rows]
        intervals = bootstrap.share_intervals(hits, mate, int(pairs.owner.max()) + 1, draws)
    rates = []
    for target, limit, count, interval in zip(thresholds, limits, wrong, intervals):
        missed = len(genuine) - int(np.count_nonzero(genuine > limit))
        counts = count, scores.different, missed, len(genuine)
        limit = genuine.dtype.type(limit)
        rates.append(error_rate_above(target, limit, counts, interval, group=name))
    return tuple(rates)


def compare_cross(
    one: Any,
    one_identity: Any,
    other: Any,
    other_identity: Any,
    *,
    fars: Sequence[float],
    draws: int = 0,
    progress: Callable[[int], Any] | None = None,
    product: Callable[..., np.ndarray] = multiply,
    dtype: Any = np.float32,
) -> EvaluationResult:
    """Compare each image of one set with each of another, such as masked with unmasked faces.

    Parameters
    ----------
    one, other : array_like, shape (n, D) and (m, D)
    one_identity, other_identity : array_like
    fars, draws, product, dtype, progress
        As for `compare_all`.

    Returns
    -------
    EvaluationResult
    """
    pairs = CrossPairs(one, one_identity, other, other_identity, product, dtype)
    images = [np.bincount(side, minlength=pairs.people) for side in pairs.owner]
    same = int((images[0].astype(object) * images[1]).sum())
    different = len(one) * len(other) - same
    if not same or not different:
        raise InputError(f"there are {same} same and {different} different pairs; both are needed")

    def everything(drawn):
        weights = [drawn * side for side in images]
        return int(weights[0].sum()) * int(weights[1].sum()) - int((weights[0] * weights[1]).sum())

    scores = pairs.compare(different, fars, progress)
    result = result_of_scores(scores, pairs.notes, pairs.owner, everything, draws)
    counts = {"one": len(one), "other": len(other)}
    return dataclasses.replace(result, counts={**counts, **result.counts})
