"""IJB-B and IJB-C: 1:1 verification of templates and 1:N search. Pure NumPy.

Features of images are pooled by `templates.pool`, lists are read by `ijb_lists`.

References
----------
Whitelam et al., "IARPA Janus Benchmark-B Face Dataset", 2017; Maze et al., "IARPA Janus
Benchmark - C", 2018. The published tables of TAR use the "reference" convention: see
`metrics.rates`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...errors import InputError
from ..metrics import bootstrap
from ..metrics.operating_points import strict_points
from ..metrics.search_rates import RankRate, SearchRate
from ..results.evaluation_result import EvaluationResult, WorstError
from ..results.pair_result import pair_result
from ..scores.feature_matrix import COLLAPSED, check_matrix, is_collapsed, multiply
from ..scores.listed_pairs import positions, score_pairs
from ..scores.topk import TopScores, scores_needed
from .identification import pool_replicates, search_with_replicates, with_intervals

__all__ = ["DEFAULT_FARS", "find_pairs", "identify", "identify_jointly", "verify"]

DEFAULT_FARS = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)

_CHUNK = 1 << 20


def verify(
    ids: np.ndarray,
    units: np.ndarray,
    pairs: Any,
    *,
    name: str = "",
    fars: Sequence[float] = DEFAULT_FARS,
    draws: int = 0,
    product: Callable[..., np.ndarray] = multiply,
    settings: dict[str, Any] | None = None,
) -> EvaluationResult:
    """Verify the listed pairs of templates (1:1).

    Parameters
    ----------
    ids : numpy.ndarray of int, shape (m,)
        Template ids, ascending; of `templates.pool`.
    units : numpy.ndarray, shape (m, D)
        Their features at unit length. float64 gives reference digits.
    pairs : ijb_lists.Pairs
    name : str
    fars : sequence of float
    draws : int, default 0
        Bootstrap draws of templates for 95 % intervals; 0 for none.
    product : function
        See `feature_matrix`.
    settings : dict, optional
        How the features were pooled, for the result.

    Returns
    -------
    EvaluationResult

    Raises
    ------
    DataError
        A pair of a template without image.
    """
    units = check_matrix(units, "template features", len(ids))
    first, second = find_pairs(ids, pairs)
    notes = []
    if is_collapsed(units):
        units = np.zeros_like(units)
        notes.append(COLLAPSED)
    zero = ~units.any(axis=1)
    if zero.any() and not zero.all():
        notes.append(
            f"{np.count_nonzero(zero)} templates have a zero vector: a score of 0, and their same "
            "pairs count as not matched"
        )
    score = score_pairs(units, first, second, product)
    genuine = score[pairs.same]
    if zero.any():
        lost = (zero[first] | zero[second])[pairs.same]
        genuine[lost] = -np.inf
    impostor = score[~pairs.same]
    impostor.sort()
    impostor = impostor[::-1]
    result = pair_result(genuine, impostor, len(impostor), fars, notes)
    if draws:
        points = _intervals(result, first, second, pairs.same, score, genuine, impostor, draws)
        result = dataclasses.replace(result, operating_points=points)
    return dataclasses.replace(
        result,
        protocol="IJB 1:1",
        name=name,
        counts={
            "templates": len(ids),
            "pairs": len(score),
            "same": len(genuine),
            "different": len(impostor),
        },
        settings=dict(settings or {}),
        inputs=dict(pairs.sha256),
        worst_errors=_hardest(score, pairs, impostor, genuine),
    )


def find_pairs(ids: np.ndarray, pairs: Any) -> list[np.ndarray]:
    """Return the rows of both templates of each pair; DataError names a line of another one."""
    return [
        positions(ids, side, pairs.path, line=pairs.line) for side in (pairs.first, pairs.second)
    ]


def identify(
    ids: np.ndarray,
    units: np.ndarray,
    probes: tuple[np.ndarray, np.ndarray],
    galleries: dict[str, tuple[np.ndarray, np.ndarray]],
    *,
    ranks: Sequence[int] = (1, 5, 10),
    fpirs: Sequence[float] = (1e-2, 1e-1),
    draws: int = 0,
    product: Callable[..., np.ndarray] = multiply,
) -> EvaluationResult:
    """Search probes in each gallery (1:N), then average.

    Parameters
    ----------
    ids, units
        As for `verify`.
    probes : (templates, subjects)
        As `ijb_lists.read_template_subjects` returns them.
    galleries : dict of str to (templates, subjects)
        A subject may be enrolled once in each.
    ranks, fpirs, draws, product
        As for `identification.evaluate`.

    Returns
    -------
    EvaluationResult
        Ranks over all mated searches; TPIR averaged over the galleries, which are ``subsets``.
    """
    probe_at = positions(ids, probes[0], "the probe list", "entry")
    found, replicates = [], []
    for name, (templates, subjects) in galleries.items():
        at = positions(ids, templates, name, "entry")
        result, drawn = search_with_replicates(
            units[probe_at],
            units[at],
            probes[1],
            subjects,
            name=name,
            ranks=ranks,
            fpirs=fpirs,
            unique=True,
            draws=draws,
            product=product,
            dtype=units.dtype.type,
            protocol="IJB 1:N gallery",
        )
        found.append(result)
        replicates.append(drawn)
    together = []
    for rows in zip(*(one.ranks for one in found)):
        hits, count = sum(r.hits for r in rows), sum(r.probes for r in rows)
        together.append(RankRate(rows[0].rank, hits / count, hits, count))
    searches = [_mean_search(rows) for rows in zip(*(one.searches for one in found))]
    if draws:
        together, searches = with_intervals(
            together, searches, pool_replicates(list(filter(None, replicates)))
        )
    return EvaluationResult(
        protocol="IJB 1:N",
        ranks=tuple(together),
        searches=tuple(searches),
        cmc=_mean_cmc(found),
        counts={"probes": len(probe_at), "galleries": len(found)},
        settings={"TPIR": "mean over the galleries"},
        subsets=tuple(found),
    )


def identify_jointly(
    ids: np.ndarray,
    units: np.ndarray,
    probes: tuple[np.ndarray, np.ndarray],
    galleries: dict[str, tuple[np.ndarray, np.ndarray]],
    *,
    ranks: Sequence[int] = (1, 5, 10),
    shares: Sequence[float] = (1e-2, 1e-1),
    product: Callable[..., np.ndarray] = multiply,
) -> EvaluationResult:
    """Search in all galleries together as InsightFace's older ``ijb_1n.py`` does.

    Its "FAR" is no rate of false accepts: for a share f the threshold is the ceil(probes x f) -th
    highest of all non-mate scores, every probe is enrolled, and the mate need not be first. Only
    to compare with tables made by it.

    Returns
    -------
    EvaluationResult
        ``measures``: ``recall@f`` and ``threshold@f`` for each share.
    """
    probe_at = positions(ids, probes[0], "the probe list", "entry")
    templates, subjects = (np.concatenate(lists) for lists in zip(*galleries.values()))
    at = positions(ids, templates, "the galleries", "entry")
    result, _ = search_with_replicates(
        units[probe_at], units[at], probes[1], subjects, ranks=ranks, unique=True,
        product=product, dtype=units.dtype.type, protocol="IJB 1:N, galleries joined (ijb_1n.py)",
    )  # fmt: skip
    budget = [max(1, math.ceil(len(probe_at) * share)) for share in shares]
    top = TopScores(max(budget), units.dtype)
    mates = []
    for start in range(0, len(probe_at), 512):
        rows = probe_at[start : start + 512]
        tile = np.array(product(units[rows], units[at]))
        mate = probes[1][start : start + 512][:, None] == subjects
        mates.append(tile[mate])
        top.add(np.where(mate, -np.inf, tile), count=tile.size - np.count_nonzero(mate))
    highest, mated = top.scores(), np.concatenate(mates)
    measures = dict(result.measures)
    for share, number in zip(shares, budget):
        threshold = highest[min(number, len(highest)) - 1]
        measures[f"recall@{share:g}"] = float((mated > threshold).sum() / len(mated))
        measures[f"threshold@{share:g}"] = float(threshold)
    return dataclasses.replace(result, measures=measures)


def _mean_search(rows):
    first = rows[0]
    return SearchRate(
        target=first.target,
        tar=float(np.mean([row.tar for row in rows])),
        far=float(np.mean([row.far for row in rows])),
        threshold=float(np.mean([row.threshold for row in rows])),
        false_accepts=sum(row.false_accepts for row in rows),
        allowed=sum(row.allowed for row in rows),
        same=sum(row.same for row in rows),
        different=sum(row.different for row in rows),
        convention=first.convention,
    )


def _mean_cmc(found):
    """Return the curve of all mated searches together, as far as every gallery goes."""
    last = min(len(one.cmc) for one in found)
    mated = [one.counts["mated"] for one in found]
    return np.average([one.cmc[:last] for one in found], axis=0, weights=mated)


def _intervals(result, first, second, same, score, genuine, impostor, draws):
    """Return the points with bootstrap intervals at the strict ones."""
    targets = [p.target for p in strict_points(result.operating_points)]
    keep = scores_needed(targets, len(impostor))
    if not keep:
        raise InputError("a bootstrap needs different pairs")
    at = np.flatnonzero((score >= impostor[keep - 1]) & ~same)
    at = at[np.argsort(-score[at], kind="stable")]
    top_first, top_second = first[at], second[at]
    own_first, own_second = first[same], second[same]

    def everything(drawn):
        total = 0
        for start in range(0, len(first), _CHUNK):
            chunk = slice(start, start + _CHUNK)
            weight = drawn[first[chunk]] * drawn[second[chunk]]
            total += int(weight.sum() - weight[same[chunk]].sum())
        return total

    return bootstrap.points_with_intervals(
        result.operating_points,
        (genuine, lambda drawn: drawn[own_first] * drawn[own_second]),
        (score[at], lambda drawn: drawn[top_first] * drawn[top_second], everything),
        int(max(first.max(), second.max())) + 1,
        draws,
    )


def _hardest(score, pairs, impostor, genuine, limit=10):
    high = impostor[min(limit, len(impostor)) - 1]
    low = np.sort(score[pairs.same])[min(limit, len(genuine)) - 1]
    found = []
    for kind, chosen in (
        ("highest different", np.flatnonzero((score >= high) & ~pairs.same)),
        ("lowest same", np.flatnonzero((score <= low) & pairs.same)),
    ):
        order = np.argsort(score[chosen], kind="stable")
        order = order[::-1] if kind.startswith("highest") else order
        found += [
            WorstError(kind, int(pairs.first[i]), int(pairs.second[i]), float(score[i]))
            for i in chosen[order[:limit]]
        ]
    return tuple(found)
