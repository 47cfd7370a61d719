"""Search in a gallery: rank-k, mean average precision, TPIR at FPIR. Pure NumPy.

IJB 1:N, TinyFace and "who of my folder is it" are this search with other lists. Ties count
against the mate, so that a model that says the same of everybody finds nobody.
"""

import dataclasses
import math

import numpy as np

from ..errors import InputError
from . import bootstrap, metrics
from .features import COLLAPSED, check_matrix, is_collapsed, multiply, unit_matrix
from .outcomes import Hard, Outcome, RankRate, SearchRate, count_scores

__all__ = ["DEFAULT_FPIRS", "DEFAULT_RANKS", "Found", "evaluate", "search", "search_rates"]

DEFAULT_RANKS = (1, 5, 10, 20)
DEFAULT_FPIRS = (1e-3, 1e-2, 1e-1)

_TILE = 1 << 23  # scores computed together
_CURVE = 100  # ranks of the CMC
_NEVER = np.iinfo(np.int64).max
_MATES = 32  # with more mates than this, a row is sorted instead of counted through


@dataclasses.dataclass(frozen=True, eq=False)
class Found:
    """What a search found for each of n probes.

    Attributes
    ----------
    mated : numpy.ndarray of bool, shape (n,)
        Whether the gallery holds the probe's identity.
    best : numpy.ndarray, shape (n,)
        The best mate's score; minus infinity for a probe that is not mated.
    ahead : numpy.ndarray of int, shape (n,)
        How many entries of other identities score as high or higher: 0 is rank 1.
    other : numpy.ndarray, shape (n,)
        The best score of another identity; minus infinity if there is none.
    other_entry : numpy.ndarray of int, shape (n,)
        Which entry that was.
    precision : numpy.ndarray of float64, shape (n,)
        Average precision over all mates; 0 for a probe that is not mated.
    """

    mated: np.ndarray
    best: np.ndarray
    ahead: np.ndarray
    other: np.ndarray
    other_entry: np.ndarray
    precision: np.ndarray


def search(probes, gallery, probe_ids, gallery_ids, product=multiply):
    """Compare every probe with every gallery entry.

    Parameters
    ----------
    probes : numpy.ndarray, shape (n, D)
        Of unit length.
    gallery : numpy.ndarray, shape (m, D)
    probe_ids, gallery_ids : numpy.ndarray of int, shape (n,) and (m,)
        Identities; an identity may have several entries.
    product : function, default NumPy's

    Returns
    -------
    Found
    """
    order = np.argsort(gallery_ids, kind="stable")
    sorted_ids = gallery_ids[order]
    low = np.searchsorted(sorted_ids, probe_ids, side="left")
    mates = np.searchsorted(sorted_ids, probe_ids, side="right") - low
    n, m = len(probes), len(gallery)
    found = Found(
        mated=mates > 0,
        best=np.full(n, -np.inf, probes.dtype),
        ahead=np.zeros(n, np.int64),
        other=np.empty(n, probes.dtype),
        other_entry=np.empty(n, np.int64),
        precision=np.zeros(n),
    )
    step = min(n, max(16, _TILE // m))
    buffer = np.empty((step, m), probes.dtype)
    for start in range(0, n, step):
        stop = min(start + step, n)
        tile = product(probes[start:stop], gallery, buffer[: stop - start])
        number = mates[start:stop]
        rows = np.repeat(np.arange(stop - start), number)
        nth = np.arange(len(rows)) - np.repeat(np.cumsum(number) - number, number)
        columns = order[low[start:stop][rows] + nth]
        own = np.full((stop - start, max(1, number.max())), -np.inf, probes.dtype)
        own[rows, nth] = tile[rows, columns]
        tile[rows, columns] = -np.inf  # what is left are others
        own = np.sort(own, axis=1)[:, ::-1]
        entry = tile.argmax(axis=1)
        found.other_entry[start:stop] = entry
        found.other[start:stop] = tile[np.arange(stop - start), entry]
        found.best[start:stop] = own[:, 0]
        ahead = _count_ahead(tile, own)
        found.ahead[start:stop] = ahead[:, 0]
        rank = np.arange(1, own.shape[1] + 1)
        valid = rank <= number[:, None]
        shares = np.where(valid, rank / (rank + ahead), 0).sum(axis=1)
        found.precision[start:stop] = shares / np.maximum(number, 1)
    return found


def _count_ahead(tile, own):
    """Return for each of the mates' scores `own` (n, k) how many of a row are as high or higher."""
    if own.shape[1] <= _MATES:
        counts = [np.count_nonzero(tile >= column[:, None], axis=1) for column in own.T]
        return np.stack(counts, axis=1)
    rising = np.sort(tile, axis=1)
    counts = [len(row) - np.searchsorted(row, mine, side="left") for row, mine in zip(rising, own)]
    return np.stack(counts)


def search_rates(found, fpirs=DEFAULT_FPIRS, conventions=("strict", "reference")):
    """Return TPIR at each FPIR as a list of `SearchRate`, convention by convention.

    "strict" takes the threshold that no more than FPIR x non-mated searches exceed; "reference"
    the one of InsightFace's ``ijb_evals.py``, the int(FPIR x searches) - 1 -th best of them. Empty
    when all probes, or none, are mated.
    """
    others = np.sort(found.other[~found.mated])[::-1]
    best = found.best[found.mated & (found.ahead == 0)]
    mated, nonmated = int(np.count_nonzero(found.mated)), len(others)
    rates = []
    if not mated or not nonmated:
        return rates
    for convention in conventions:
        for target in fpirs:
            allowed = _allowed(target, nonmated)
            if convention == "reference":
                threshold = others[min(max(int(nonmated * target) - 1, 0), nonmated - 1)]
            else:
                threshold = others[allowed] if allowed < nonmated else -np.inf
            hits = int(np.count_nonzero(best > threshold))
            wrong = int(np.count_nonzero(others > threshold))
            rates.append(
                SearchRate(
                    target=float(target),
                    tpir=hits / mated,
                    fpir=wrong / nonmated,
                    threshold=float(threshold),
                    false_positives=wrong,
                    allowed=allowed,
                    mated=mated,
                    nonmated=nonmated,
                    convention=convention,
                )
            )
    return rates


def rank_rates(found, ranks=DEFAULT_RANKS):
    """Return the share of mated probes with a mate among the k best, for each k of `ranks`."""
    ahead = found.ahead[found.mated]
    rates = []
    for rank in ranks:
        hits = int(np.count_nonzero(ahead < rank))
        rates.append(RankRate(int(rank), hits / max(len(ahead), 1), hits, len(ahead)))
    return rates


def evaluate(
    probes,
    gallery,
    probe_ids,
    gallery_ids,
    *,
    name="",
    ranks=DEFAULT_RANKS,
    fpirs=DEFAULT_FPIRS,
    unique=False,
    draws=0,
    product=multiply,
    dtype=np.float32,
    protocol="identification",
):
    """Search every probe in the gallery and sum up.

    Parameters
    ----------
    probes : array_like, shape (n, D)
        Any length; normalised here. A zero vector is a failure: it is found by nobody.
    gallery : array_like, shape (m, D)
    probe_ids, gallery_ids : array_like, shape (n,) and (m,)
        Identities: numbers or text.
    name : str
    ranks : sequence of int
    fpirs : sequence of float
        False-positive identification rates. Used when some probes are not mated.
    unique : bool, default False
        Whether a gallery with two entries of one identity is an error, as it is for IJB.
    draws : int, default 0
        Bootstrap draws of probe identities for 95 % intervals; 0 for none.
    product, dtype
        See `features`; float64 gives reference digits.

    Returns
    -------
    Outcome

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
    for rank in ranks:
        if rank < 1:
            raise InputError(f"rank {rank}: ranks are counted from 1")
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
    found = search(probes, gallery, *numbers, product=product)
    failed = ~probes.any(axis=1)
    found.ahead[failed], found.precision[failed] = _NEVER, 0  # a failure finds nobody
    if not found.mated.any():
        raise InputError("no probe has its identity in the gallery: nothing can be found")
    rates, searches = rank_rates(found, ranks), search_rates(found, fpirs)
    if draws:
        rates, searches = _with_intervals(found, numbers[0], rates, searches, draws)
    mated = int(np.count_nonzero(found.mated))
    few = [s.target for s in searches if s.convention == "strict" and s.allowed < 10]
    if few:
        notes.append(
            f"{searches[0].nonmated} non-mated searches allow fewer than 10 false positives at "
            f"FPIR {', '.join(f'{target:g}' for target in few)}: such a threshold is uncertain"
        )
    return Outcome(
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
        settings={"ties": "against the mate"},
        notes=tuple(notes),
        hardest=_hardest(found),
        **_curves(found, len(gallery)),
    )


def _curves(found, entries):
    """Return what is drawn: shares by rank, TPIR over FPIR, the mates' and the others' scores."""
    mated, nonmated = found.mated, np.sort(found.other[~found.mated])[::-1]
    # A failure is behind everybody; uncut, its rank makes NumPy's bincount write out of bounds.
    ahead = np.minimum(found.ahead[mated], entries)
    within = np.bincount(ahead, minlength=entries)[: min(entries, _CURVE)]
    others = found.other[np.isfinite(found.other)]
    drawn = {
        "cmc": np.cumsum(within) / np.count_nonzero(mated),
        "histogram": count_scores(found.best[mated], np.sort(others)[::-1]),
    }
    first = found.best[mated & (found.ahead == 0)]  # the others are found at no threshold
    if len(nonmated) and len(first):
        curve = metrics.roc_corners(first, nonmated, len(nonmated))
        share = len(first) / np.count_nonzero(mated)
        drawn["roc"] = dataclasses.replace(curve, tpr=curve.tpr * share)
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


def _allowed(target, nonmated):
    if not 0 <= target <= 1:
        raise InputError(f"the false-positive identification rate is {target!r}; expected 0..1")
    return min(math.floor(target * nonmated + 1e-9), nonmated)


def _with_intervals(found, identity, rates, searches, draws):
    people, person = np.unique(identity, return_inverse=True)
    mated = found.mated
    hits = np.stack([found.ahead[mated] < r.rank for r in rates], axis=1)
    spans = bootstrap.share_intervals(hits, person[mated], len(people), draws)
    rates = [dataclasses.replace(r, low=a, high=b) for r, (a, b) in zip(rates, spans)]
    targets = [s.target for s in searches if s.convention == "strict"]
    if targets:
        order = np.argsort(-found.other[~mated], kind="stable")
        own, others = person[mated], person[~mated][order]
        score = np.where(found.ahead == 0, found.best, -np.inf)[mated]
        spans = bootstrap.tar_intervals(
            (score, lambda drawn: drawn[own]),
            (
                found.other[~mated][order],
                lambda drawn: drawn[others],
                lambda drawn: drawn[others].sum(),
            ),
            len(people),
            targets,
            draws,
        )
        spans = dict(zip(targets, spans))
        searches = [
            dataclasses.replace(s, low=spans[s.target][0], high=spans[s.target][1])
            if s.convention == "strict"
            else s
            for s in searches
        ]
    return rates, searches


def _hardest(found, limit=10):
    """Return the misidentified probes whose wrong match scores highest above the mate."""
    wrong = np.flatnonzero(found.mated & (found.ahead > 0))
    lead = found.other[wrong] - found.best[wrong]
    chosen = wrong[np.argsort(-lead, kind="stable")[:limit]]
    return tuple(
        Hard("wrong identity first", int(i), int(found.other_entry[i]), float(found.other[i]))
        for i in chosen
    )
