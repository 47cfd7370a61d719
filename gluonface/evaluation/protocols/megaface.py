"""MegaFace challenge 1: find a face among up to a million distractors. Pure NumPy.

Every ordered pair of images of one probe identity: the first is enrolled with the distractors, the
second is the query. Scores are computed block by block; the best distractors of each probe and the
highest scores of all are kept.

References
----------
Kemelmacher-Shlizerman et al., "The MegaFace Benchmark: 1 Million Faces for Recognition at Scale",
2016. Noise lists: the refined set ("R") of Deng et al., "ArcFace", 2019.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...errors import InputError
from ..metrics import bootstrap
from ..metrics.search_rates import rank_rates
from ..results.evaluation_result import EvaluationResult, pair_errors
from ..results.pair_result import pair_result
from ..scores.feature_matrix import (
    COLLAPSED,
    check_matrix,
    is_collapsed,
    multiply,
    unit_block,
    unit_matrix,
)
from ..scores.pair_scores import PairScores
from ..scores.topk import TopScoresPerRow

__all__ = ["DEFAULT_FARS", "DEFAULT_RANKS", "evaluate", "repair_probes"]

DEFAULT_FARS = (1e-6, 1e-5, 1e-4)
DEFAULT_RANKS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10)

_BLOCK = 4096  # distractors compared together
_TILE = 1 << 22  # scores computed together: 16 MB stay in the last-level cache


def evaluate(
    probes: Any,
    identities: Any,
    distractors: Any,
    *,
    noisy_probes: np.ndarray | None = None,
    noisy_distractors: np.ndarray | None = None,
    removed: str = "drop",
    probe_pairs: bool = False,
    ranks: Sequence[int] = DEFAULT_RANKS,
    fars: Sequence[float] = DEFAULT_FARS,
    draws: int = 0,
    name: str = "",
    product: Callable[..., np.ndarray] = multiply,
    dtype: Any = np.float32,
    progress: Callable[[int], Any] | None = None,
) -> EvaluationResult:
    """Identification and verification of probes among distractors.

    Parameters
    ----------
    probes : array_like, shape (n, D)
        Any length; normalised here.
    identities : array_like, shape (n,)
        Numbers or text.
    distractors : array_like, shape (m, D), or stored.BinFolder
        Read in slices, so it may be mapped from disk.
    noisy_probes, noisy_distractors : array_like of bool, optional
        Masks of images that are not what they should be. With either, the result is "(R)".
    removed : {"drop", "zero"}, default "drop"
        What happens to noisy distractors: left out, or a score of 0, which stays in the count of
        different pairs, as in FaceX-Zoo.
    probe_pairs : bool, default False
        Count the unordered pairs of probes of two people as different pairs as well, which some
        tools do: 6 million beside 3.5 billion. Among the worst errors, `b` of such a pair is the
        number of distractors plus the probe's.
    ranks : sequence of int
    fars : sequence of float
    draws : int, default 0
        Bootstrap draws of probe identities.
    name : str
    product, dtype
        See `feature_matrix`.
    progress : function, optional
        Called with the number of distractors done since the last call.

    Returns
    -------
    EvaluationResult
    """
    identities = np.asarray(identities)
    probes = check_matrix(probes, "probes", len(identities))
    distractors = check_matrix(distractors, "distractors")
    if probes.shape[1] != distractors.shape[1]:
        raise InputError(
            f"probes have {probes.shape[1]} values each and distractors {distractors.shape[1]}"
        )
    if removed not in ("drop", "zero"):
        raise InputError(f"removed is {removed!r}; expected 'drop' or 'zero'")
    _, person = np.unique(identities, return_inverse=True)
    noisy = _mask(noisy_distractors, len(distractors), "noisy_distractors")
    refined = noisy_probes is not None or noisy_distractors is not None
    units = unit_matrix(probes, "probes", dtype)[0]
    if noisy_probes is not None:
        noisy_probes = _mask(noisy_probes, len(probes), "noisy_probes")
        units = repair_probes(units, identities, noisy_probes)
    notes = []
    if is_collapsed(units):
        units = np.zeros_like(units)
        notes.append(COLLAPSED)
    enrolled, query, genuine = _mates(units, person, product)
    kept = len(distractors) - (int(np.count_nonzero(noisy)) if removed == "drop" else 0)
    if not kept:
        raise InputError("all distractors are noisy: none is left to compare with")
    images = np.bincount(person)
    crossed = (len(units) ** 2 - int((images**2).sum())) // 2 if probe_pairs else 0
    different = len(units) * kept + crossed
    pairs = PairScores(different, fars, dtype, least=100)
    notes += pairs.left_out_note(f"too many of {different} different pairs decide it")
    best = TopScoresPerRow(len(units), max(ranks), dtype)
    blocks = _blocks(distractors, noisy, removed, dtype)
    step = max(1, min(len(units), _TILE // _BLOCK))
    buffer = np.empty((step, _BLOCK), dtype)
    for numbers, block in blocks:
        for start in range(0, len(units), step):
            queries = units[start : start + step]
            out = buffer.reshape(-1)[: len(queries) * len(block)].reshape(len(queries), len(block))
            tile = product(queries, block, out)
            highest = tile.max(axis=1)
            best.add(tile, start, highest)
            rows = np.arange(start, start + len(queries))
            pairs.add_different(tile, highest, rows, numbers)
        if progress is not None:
            progress(len(block))
    if probe_pairs:
        _add_probe_pairs(pairs.top, units, person, len(distractors), product)
    # Scores that differ by rounding alone are ties: equal vectors in two places of a matrix
    # product may get scores some units of the last place apart.
    least = genuine[:, None] - 4 * np.finfo(dtype).eps
    ahead = (best.sorted()[query] >= least).sum(axis=1)
    failed = ~units.any(axis=1)
    lost = failed[enrolled] | failed[query]
    ahead[lost], genuine[lost] = max(ranks), -np.inf
    if failed.any() and not failed.all():
        notes.append(f"{np.count_nonzero(failed)} probes have a zero vector and match nobody")
    scores, rows, columns = pairs.top.scores_and_places()
    result = pair_result(genuine, scores, different, pairs.fars, notes, pairs.sample)
    rates = rank_rates(ahead, ranks)
    points = result.operating_points
    if draws:
        probe = columns - len(distractors)
        other = np.where(probe < 0, -1, person[np.maximum(probe, 0)])
        sides, counted = (person[rows], other), (images, kept, probe_pairs)
        rates, points = _intervals(
            result, rates, ahead, genuine, scores, person[query], sides, counted, draws
        )
    return dataclasses.replace(
        result,
        protocol="MegaFace (R)" if refined else "MegaFace",
        name=name,
        ranks=tuple(rates),
        operating_points=tuple(points),
        counts={
            "probes": len(units),
            "identities": int(np.max(person)) + 1,
            "distractors": kept,
            "same": len(genuine),
            "different": different,
            **({"probe pairs": crossed} if probe_pairs else {}),
            "noisy probes": 0 if noisy_probes is None else int(noisy_probes.sum()),
            "noisy distractors": int(np.count_nonzero(noisy)),
        },
        settings={"removed": removed if refined else "nothing", "ties": "against the mate"},
        cmc=np.array([(ahead < rank).mean() for rank in range(1, max(ranks) + 1)]),
        worst_errors=pair_errors((scores, rows, columns), (genuine, enrolled, query)),
    )


def repair_probes(probes: np.ndarray, identities: Any, noisy: np.ndarray) -> np.ndarray:
    """Replace each noisy probe by the sum of its identity's clean ones, at unit length.

    InsightFace's program adds unseeded noise of 0.001 to that; here the result is the same
    every time.

    Parameters
    ----------
    probes : numpy.ndarray, shape (n, D)
        Of unit length.
    identities : array_like, shape (n,)
    noisy : numpy.ndarray of bool, shape (n,)

    Returns
    -------
    numpy.ndarray, shape (n, D)
    """
    identities, repaired = np.asarray(identities), probes.copy()
    for identity in np.unique(identities[noisy]):
        own = identities == identity
        if not (own & ~noisy).any():
            raise InputError(f"all probes of {identity} are noisy: nothing is left of it")
        repaired[own & noisy] = probes[own & ~noisy].sum(axis=0, dtype=np.float64)
    return unit_matrix(repaired, "probes", probes.dtype)[0]


def _mask(mask, rows, name):
    if mask is None:
        return np.zeros(rows, bool)
    mask = np.asarray(mask)
    if mask.shape != (rows,) or mask.dtype != bool:
        raise InputError(f"{name} has shape {mask.shape}, dtype {mask.dtype}; expected {rows} bool")
    return mask


def _mates(units, person, product):
    """Return the ordered pairs within identities: enrolled, query, score."""
    order = np.argsort(person, kind="stable")
    starts = np.flatnonzero(np.diff(person[order], prepend=-1))
    enrolled, query, scores = [], [], []
    for members in np.split(order, starts[1:]):
        if len(members) > 1:
            table = np.array(product(units[members], units[members]))
            a, b = np.nonzero(~np.eye(len(members), dtype=bool))
            enrolled.append(members[a])
            query.append(members[b])
            scores.append(table[a, b])
    if not scores:
        raise InputError("no identity has two probes: there is nothing to find")
    return np.concatenate(enrolled), np.concatenate(query), np.concatenate(scores)


def _blocks(distractors, noisy, removed, dtype):
    """Yield (numbers, unit features) of the distractors, noise left out or zero."""
    buffer = np.empty((_BLOCK, distractors.shape[1]), dtype)
    for start in range(0, len(distractors), _BLOCK):
        block = distractors[start : start + _BLOCK]
        units = unit_block(block, "distractors", start, buffer[: len(block)])[0]
        numbers = np.arange(start, start + len(block))
        bad = noisy[start : start + _BLOCK]
        if bad.any() and removed == "drop":
            units, numbers = units[~bad], numbers[~bad]
        elif bad.any():
            units[bad] = 0
        if len(units):
            yield numbers, units


def _add_probe_pairs(top, units, person, offset, product):
    """Add the scores of unordered pairs of probes of two people; columns count from `offset`."""
    step = max(1, _TILE // len(units))
    for start in range(0, len(units), step):
        rows = np.arange(start, min(start + step, len(units)))
        tile = np.array(product(units[rows], units))
        left_out = person[rows][:, None] == person
        left_out |= rows[:, None] >= np.arange(len(units))
        tile[left_out] = -np.inf
        count = tile.size - int(np.count_nonzero(left_out))
        top.add(tile, None, rows, offset + np.arange(len(units)), count)


def _intervals(result, rates, ahead, genuine, scores, owner, sides, counted, draws):
    """Return rank rates and points with intervals, from draws of probe identities.

    `sides` are the people of the highest different pairs, -1 for a distractor; `counted` are the
    images of each person, the number of distractors, and whether pairs of probes count.
    """
    (one, other), (images, kept, probe_pairs) = sides, counted
    hits = np.stack([ahead < r.rank for r in rates], axis=1)
    shares = bootstrap.share_intervals(hits, owner, len(images), draws)
    rates = [dataclasses.replace(r, low=low, high=high) for r, (low, high) in zip(rates, shares)]

    def weigh(drawn):
        return drawn[one] * np.where(other < 0, 1, drawn[other])

    def everything(drawn):
        weight = drawn * images
        crossed = (int(weight.sum()) ** 2 - int((weight**2).sum())) // 2 if probe_pairs else 0
        return int(weight.sum()) * kept + crossed

    return rates, bootstrap.points_with_intervals(
        result.operating_points,
        (genuine, lambda drawn: drawn[owner]),
        (scores, weigh, everything),
        len(images),
        draws,
    )
