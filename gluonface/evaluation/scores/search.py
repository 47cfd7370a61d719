"""Scores of probes against a gallery: best mate, best other identity, ranks. Pure NumPy.

Ties count against the mate, so that a model with one output for everybody finds nobody. A matrix
product rounds equal columns differently, so scores next to the mate's are computed again, each in
the same order of terms: equal vectors then have equal scores.
"""

import dataclasses

import numpy as np

from .feature_matrix import multiply

__all__ = ["SearchScores", "search"]

_TILE = 1 << 23  # scores computed together
_MATES = 32  # with more mates than this, a row is sorted instead of counted through
_ROUNDING = 32  # scores that differ by fewer units of their type's precision are computed again
_CLOSE = 4096  # so many at a time


@dataclasses.dataclass(frozen=True, eq=False)
class SearchScores:
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
    SearchScores
    """
    order = np.argsort(gallery_ids, kind="stable")
    sorted_ids = gallery_ids[order]
    low = np.searchsorted(sorted_ids, probe_ids, side="left")
    mates = np.searchsorted(sorted_ids, probe_ids, side="right") - low
    n, m = len(probes), len(gallery)
    found = SearchScores(
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
        entries = np.zeros(own.shape, np.int64)
        entries[rows, nth] = columns
        tile[rows, columns] = -np.inf  # what is left are others
        known = number > 0
        first = own.argmax(axis=1)[known]
        found.mate[start:stop][known] = order[low[start:stop][known] + first]
        falling = np.argsort(own, axis=1, kind="stable")[:, ::-1]
        own, entries = (np.take_along_axis(a, falling, axis=1) for a in (own, entries))
        entry = tile.argmax(axis=1)
        found.other_entry[start:stop] = entry
        found.other[start:stop] = tile[np.arange(stop - start), entry]
        found.best[start:stop] = own[:, 0]
        ahead = _count_ahead(tile, own, entries, probes[start:stop], gallery)
        found.ahead[start:stop] = ahead[:, 0]
        rank = np.arange(1, own.shape[1] + 1)
        valid = rank <= number[:, None]
        shares = np.where(valid, rank / (rank + ahead), 0).sum(axis=1)
        found.precision[start:stop] = shares / np.maximum(number, 1)
    return found


def _count_ahead(tile, own, entries, probes, gallery):
    """Return for each of the mates' scores how many of a row are as high or higher.

    Parameters
    ----------
    tile : numpy.ndarray, shape (n, m)
        The scores of others; minus infinity for mates.
    own : numpy.ndarray, shape (n, k)
        The mates' scores; minus infinity where there are fewer than k.
    entries : numpy.ndarray of int, shape (n, k)
        Which entries of the gallery the mates are.
    probes, gallery : numpy.ndarray, shape (n, D) and (m, D)
    """
    rounding = _ROUNDING * np.finfo(tile.dtype).eps
    ahead, near = _count_above(tile, own + rounding), _count_above(tile, own - rounding)
    for row, place in np.argwhere((near > ahead) & (own > -np.inf)):
        score, scores = own[row, place], tile[row]
        ahead[row, place] = np.count_nonzero(scores >= score + rounding)
        ahead[row, place] += np.count_nonzero(scores == score)
        close = np.flatnonzero(
            (scores > score - rounding) & (scores < score + rounding) & (scores != score)
        )
        mate = _in_order(gallery[entries[row, place]][None], probes[row])
        for start in range(0, len(close), _CLOSE):
            rows = gallery[close[start : start + _CLOSE]]
            ahead[row, place] += np.count_nonzero(_in_order(rows, probes[row]) >= mate)
    return ahead


def _count_above(tile, bounds):
    """Return for each of `bounds` (n, k) how many scores of its row of `tile` are as high."""
    if bounds.shape[1] <= _MATES:
        counts = [np.count_nonzero(tile >= column[:, None], axis=1) for column in bounds.T]
        return np.stack(counts, axis=1)
    rising = np.sort(tile, axis=1)
    counts = [len(row) - np.searchsorted(row, mine, "left") for row, mine in zip(rising, bounds)]
    return np.stack(counts)


def _in_order(rows, probe):
    """Return the scores of `rows` (n, D) in float64, each the sum of its terms in one order."""
    return np.einsum("ij,j->i", rows.astype(np.float64), probe.astype(np.float64))
