"""Search in a gallery: rank-k, mean average precision, TPIR at FPIR. Pure NumPy.

IJB 1:N and TinyFace are this search with other lists.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import InputError
from ..metrics import bootstrap
from ..metrics.operating_points import check_rate
from ..metrics.operating_points import with_intervals as points_with_intervals
from ..metrics.roc import roc_corners
from ..metrics.search_rates import DEFAULT_FPIRS, DEFAULT_RANKS, rank_rates, search_rates
from ..results.evaluation_result import EvaluationResult, WorstError, score_histogram
from ..results.pair_result import uncertainty_notes
from ..scores.feature_matrix import COLLAPSED, check_matrix, is_collapsed, multiply, unit_matrix
from ..scores.search import search

__all__ = [
    "DEFAULT_FPIRS",
    "DEFAULT_RANKS",
    "Replicates",
    "evaluate",
    "pool_replicates",
    "search_with_replicates",
    "with_intervals",
]

_CURVE = 100  # ranks of the CMC
_NEVER = np.iinfo(np.int64).max


@dataclasses.dataclass(frozen=True, eq=False)
class Replicates:
    """What bootstrap draws of people gave; the same draws for the same list of probes.

    Attributes
    ----------
    hits : numpy.ndarray, shape (draws, ranks)
        Searches found within each rank.
    mated : numpy.ndarray, shape (draws,)
        Mated searches.
    tpir : numpy.ndarray, shape (draws, fpirs)
        NaN where no mated, or no non-mated, person was drawn.
    """

    hits: np.ndarray
    mated: np.ndarray
    tpir: np.ndarray


def evaluate(
    probes: npt.ArrayLike,
    gallery: npt.ArrayLike,
    probe_ids: npt.ArrayLike,
    gallery_ids: npt.ArrayLike,
    **kwargs: Any,
) -> EvaluationResult:
    """Search every probe in the gallery and sum up: the result of `search_with_replicates`."""
    return search_with_replicates(probes, gallery, probe_ids, gallery_ids, **kwargs)[0]


def search_with_replicates(
    probes: Any,
    gallery: Any,
    probe_ids: Any,
    gallery_ids: Any,
    *,
    name: str = "",
    ranks: Sequence[int] = DEFAULT_RANKS,
    fpirs: Sequence[float] = DEFAULT_FPIRS,
    depth: int = 1,
    unique: bool = False,
    failure_score: float = 0.0,
    draws: int = 0,
    product: Callable[..., np.ndarray] = multiply,
    dtype: Any = np.float32,
    protocol: str = "identification",
) -> tuple[EvaluationResult, Replicates | None]:
    """Search every probe in the gallery and sum up.

    Parameters
    ----------
    probes : array_like, shape (n, D)
        Any length; normalised here. A zero vector is a failure: it never matches.
    gallery : array_like, shape (m, D)
    probe_ids, gallery_ids : array_like, shape (n,) and (m,)
        Identities: numbers or text.
    name : str
    ranks : sequence of int
    fpirs : sequence of float
        False-positive identification rates. Used when some probes are not mated.
    depth : int, default 1
        For TPIR the mate has to be among so many best.
    unique : bool, default False
        Whether a gallery with two entries of one identity is an error, as it is for IJB.
    failure_score : float, default 0
        Best score of a non-mated probe that is a zero vector.
    draws : int, default 0
        Bootstrap draws of probe identities for 95 % intervals; 0 for none.
    product, dtype
        See `feature_matrix`; float64 gives reference digits.

    Returns
    -------
    EvaluationResult
    Replicates or None
        What its intervals are made of, where there were draws.

    Raises
    ------
    InputError
        Wrong shapes, a value that is not finite, no mated probe, or a double identity.
    """
    probe_ids, gallery_ids = _identities(probe_ids, gallery_ids)
    probes, gallery = (
        check_matrix(array, what, len(ids))
        for array, what, ids in ((probes, "probes", probe_ids), (gallery, "gallery", gallery_ids))
    )
    if probes.shape[1] != gallery.shape[1]:
        raise InputError(
            f"probes have {probes.shape[1]} values each and gallery entries {gallery.shape[1]}"
        )
    if unique:
        _require_unique(gallery_ids)
    for rank in (*ranks, depth):
        if rank < 1:
            raise InputError(f"rank {rank}: ranks are counted from 1")
    for target in fpirs:
        check_rate(target, "false-positive identification rate")
    probes, zero = unit_matrix(probes, "probes", dtype)
    gallery, also = unit_matrix(gallery, "gallery", dtype)
    notes = []
    if is_collapsed(probes, gallery):
        probes, gallery = np.zeros_like(probes), np.zeros_like(gallery)
        notes.append(COLLAPSED)
    elif zero or also:
        notes.append(
            f"{zero} probes and {also} gallery entries have a zero vector: a score of 0, and never "
            "a correct match"
        )
    numbers = _numbers(probe_ids, gallery_ids)
    found = search(probes, gallery, numbers[0], numbers[1], product)
    failed = ~probes.any(axis=1)
    found.ahead[failed], found.precision[failed] = _NEVER, 0  # a failure never matches
    found.other[failed] = failure_score
    if not found.mated.any():
        raise InputError("no probe has its identity in the gallery: nothing can be found")
    best, ahead = found.best[found.mated], found.ahead[found.mated]
    rates = rank_rates(ahead, ranks)
    searches = search_rates(best, ahead, found.other[~found.mated], fpirs, depth)
    replicates = None
    if draws:
        replicates = _replicates(found, numbers[0], ranks, fpirs, depth, draws)
        rates, searches = with_intervals(rates, searches, replicates)
    mated = int(np.count_nonzero(found.mated))
    if searches:
        notes += uncertainty_notes(searches, f"{searches[0].different} non-mated searches", "FPIR")
    result = EvaluationResult(
        protocol=protocol,
        name=name,
        ranks=tuple(rates),
        searches=tuple(searches),
        measures={"map": float(found.precision[found.mated].mean())},
        counts={
            "probes": len(probes),
            "mated": mated,
            "nonmated": len(probes) - mated,
            "gallery": len(gallery),
            "identities": len(np.unique(numbers[1])),
        },
        settings={"ties": "against the mate", **({"R": depth} if depth > 1 else {})},
        notes=tuple(notes),
        worst_errors=_hardest(found),
        **_curves(found, len(gallery), depth),
    )
    return result, replicates


def pool_replicates(several: Sequence[Replicates]) -> Replicates:
    """Return the `Replicates` of searches in several galleries: hits added, TPIR averaged."""
    return Replicates(
        hits=np.sum([one.hits for one in several], axis=0),
        mated=np.sum([one.mated for one in several], axis=0),
        tpir=np.sum([one.tpir for one in several], axis=0) / len(several),
    )


def with_intervals(rates, searches, replicates):
    """Return rank rates, and the strict of `searches`, with their 95 % intervals."""
    with np.errstate(invalid="ignore"):
        shares = replicates.hits / replicates.mated[:, None]
    found = bootstrap.intervals(shares)
    rates = [dataclasses.replace(r, low=a, high=b) for r, (a, b) in zip(rates, found)]
    return rates, list(points_with_intervals(searches, bootstrap.intervals(replicates.tpir)))


def _replicates(found, identity, ranks, fpirs, depth, draws):
    """Return the `Replicates` of bootstrap draws; `identity` (n,) is that of each probe."""
    people, person = np.unique(identity, return_inverse=True)
    mated = found.mated
    hits = np.stack([found.ahead[mated] < rank for rank in ranks], axis=1)
    sums, weights = bootstrap.share_replicates(hits, person[mated], len(people), draws)
    order = np.argsort(-found.other[~mated], kind="stable")
    own, others = person[mated], person[~mated][order]
    tpir = bootstrap.tar_replicates(
        (
            np.where(found.ahead < depth, found.best, -np.inf)[mated],
            lambda drawn: drawn[own],
        ),
        (
            found.other[~mated][order],
            lambda drawn: drawn[others],
            lambda drawn: drawn[others].sum(),
        ),
        len(people),
        fpirs,
        draws,
    )
    return Replicates(sums, weights, tpir)


def _curves(found, entries, depth):
    """Return the curves: shares by rank, TPIR over FPIR, the mates' and the others' scores."""
    mated, nonmated = found.mated, np.sort(found.other[~found.mated])[::-1]
    # A failure is behind everybody; uncut, its rank makes NumPy's bincount write out of bounds.
    ahead = np.minimum(found.ahead[mated], entries)
    within = np.bincount(ahead, minlength=entries)[: min(entries, _CURVE)]
    others = found.other[np.isfinite(found.other)]
    drawn = {
        "cmc": np.cumsum(within) / np.count_nonzero(mated),
        "histogram": score_histogram(found.best[mated], np.sort(others)[::-1]),
    }
    first = found.best[mated & (found.ahead < depth)]  # the others are found at no threshold
    if len(nonmated) and len(first):
        curve = roc_corners(first, nonmated, len(nonmated))
        share = len(first) / np.count_nonzero(mated)
        drawn["roc_curve"] = dataclasses.replace(curve, tpr=curve.tpr * share)
    return drawn


def _identities(*lists):
    lists = [np.asarray(ids) for ids in lists]
    for ids, name in zip(lists, ("probe", "gallery")):
        if ids.ndim != 1 or not len(ids) or ids.dtype.kind not in "iuUS":
            raise InputError(f"{name} identities have shape {ids.shape}, dtype {ids.dtype}")
    return lists


def _numbers(*lists):
    """Return the identities as numbers, the same number for the same identity."""
    if all(ids.dtype.kind in "iu" for ids in lists):
        return [ids.astype(np.int64) for ids in lists]
    _, numbers = np.unique(np.concatenate([ids.astype(str) for ids in lists]), return_inverse=True)
    return np.split(numbers, [len(lists[0])])


def _require_unique(ids):
    values, number = np.unique(ids, return_counts=True)
    if (number > 1).any():
        double = values[np.argmax(number > 1)]
        rows = np.flatnonzero(ids == double)[:2]
        raise InputError(
            f"the gallery holds {double} twice, at entries {rows[0] + 1} and {rows[1] + 1}; "
            "this protocol enrols an identity once"
        )


def _hardest(found, limit=10):
    """Return the misidentified probes whose wrong match scores highest above the mate."""
    wrong = np.flatnonzero(found.mated & (found.ahead > 0))
    lead = found.other[wrong] - found.best[wrong]
    chosen = wrong[np.argsort(-lead, kind="stable")[:limit]]
    return tuple(
        WorstError(
            "wrong identity first",
            int(i),
            int(found.other_entry[i]),
            float(found.other[i]),
            mate=int(found.mate[i]),
            mate_score=float(found.best[i]),
        )
        for i in chosen
    )
