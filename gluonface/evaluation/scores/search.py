"""Compare probes with a gallery, and the rates that follow from it. Pure NumPy.

Ties count against the mate, so that a model that says the same of everybody finds nobody.
"""

import dataclasses

import numpy as np

from ..metrics.operating_points import SearchRate, allowed_accepts, operating_points
from ..results.outcome import RankRate
from .feature_matrix import multiply

__all__ = ["DEFAULT_FPIRS", "DEFAULT_RANKS", "Found", "rank_rates", "search", "search_rates"]

DEFAULT_RANKS = (1, 5, 10, 20)
DEFAULT_FPIRS = (1e-3, 1e-2, 1e-1)

_TILE = 1 << 23  # scores computed together
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
    mate : numpy.ndarray of int, shape (n,)
        Which entry that mate is; -1 for a probe that is not mated.
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
    mate: np.ndarray
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
        mate=np.full(n, -1, np.int64),
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
        known = number > 0
        first = own.argmax(axis=1)[known]
        found.mate[start:stop][known] = order[low[start:stop][known] + first]
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


def search_rates(found, fpirs=DEFAULT_FPIRS, depth=1):
    """Return TPIR at FPIR as a list of `SearchRate`, the strict ones first.

    "strict" takes the threshold that no more than FPIR x non-mated searches exceed; "reference"
    the one of InsightFace's ``ijb_evals.py``, the int(FPIR x searches) - 1 -th best of them. Empty
    when all probes, or none, are mated.

    Parameters
    ----------
    found : Found
    fpirs : sequence of float
        False-positive identification rates.
    depth : int, default 1
        The mate has to be among so many best ("R" of NIST's reports).
    """
    others = np.sort(found.other[~found.mated])[::-1]
    best = np.where(found.ahead < depth, found.best, -np.inf)[found.mated]
    if not len(best) or not len(others):
        return []
    rates = [
        SearchRate(**dataclasses.asdict(point))
        for point in operating_points(best, others, len(others), fpirs)
    ]
    for target in fpirs:
        threshold = others[min(max(int(len(others) * target) - 1, 0), len(others) - 1)]
        wrong = int(np.count_nonzero(others > threshold))
        rates.append(
            SearchRate(
                target=float(target),
                tar=int(np.count_nonzero(best > threshold)) / len(best),
                far=wrong / len(others),
                threshold=float(threshold),
                false_accepts=wrong,
                allowed=allowed_accepts(target, len(others)),
                same=len(best),
                different=len(others),
                convention="reference",
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
