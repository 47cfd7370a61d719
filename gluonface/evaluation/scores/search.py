"""Scores of probes against a gallery: best mate, best other identity, ranks. Pure NumPy.

Ties count against the mate, so that a model with one output for everybody finds nobody.
"""

import dataclasses

import numpy as np

from .feature_matrix import multiply

__all__ = ["SearchScores", "search"]

_TILE = 1 << 23  # scores computed together
_MATES = 32  # with more mates than this, a row is sorted instead of counted through


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
