"""The largest of very many scores, exactly, in little memory. Pure NumPy.

A protocol may compare billions of pairs. The highest scores of different pairs decide its rates;
`TopScores` keeps those while blocks of scores are added.
"""

import numpy as np

from ..metrics.operating_points import allowed_accepts

__all__ = ["HistogramSample", "TopScores", "TopScoresPerRow", "scores_needed", "true_places"]

_SLICE = 1 << 20  # scores that are added together


def scores_needed(targets, different, spare=64):
    """Return how many of the highest scores decide TAR at FAR `targets` in both conventions."""
    allowed = max((allowed_accepts(target, different) for target in targets), default=0)
    return min(2 * allowed + spare, different)


def true_places(mask):
    """Return the rows and columns of the few True of `mask` (m, n); faster than ``nonzero``."""
    return np.divmod(np.flatnonzero(mask), mask.shape[1])


class TopScores:
    """Collects the `keep` largest scores of all that are added.

    Parameters
    ----------
    keep : int
        How many to keep, 1 or more.
    dtype : default float32
        Of the scores.
    track : bool, default False
        Keep the row and column of each as well.

    Attributes
    ----------
    count : int
        How many scores were added.
    floor : float
        Scores that are not above this cannot be among the largest. Minus infinity at first.
    """

    def __init__(self, keep, dtype=np.float32, track=False):
        self.keep, self.count, self.floor = max(1, int(keep)), 0, -np.inf
        room = self.keep + max(self.keep // 2, 1 << 16)
        self._scores = np.empty(room, dtype)
        self._places = np.empty((2, room), np.int32) if track else None
        self._size = 0

    def add(self, tile, row_max=None, rows=None, cols=None, count=None):
        """Add a block of scores.

        Parameters
        ----------
        tile : numpy.ndarray, shape (m, n) or (n,)
            Minus infinity marks an entry that is not a score.
        row_max : numpy.ndarray, shape (m,), optional
            ``tile.max(axis=1)`` if it is known: rows whose largest is too small are skipped.
        rows, cols : numpy.ndarray of int, shape (m,) and (n,)
            Numbers of the rows and columns; needed to track.
        count : int, optional
            How many entries are scores; default: all.
        """
        tile = np.atleast_2d(tile)
        self.count += tile.size if count is None else count
        step = max(1, _SLICE // max(1, tile.shape[1]))
        if self.floor > -np.inf:
            if row_max is None:
                row_max = tile.max(axis=1)
            hit = np.flatnonzero(row_max > self.floor)
        else:
            hit = np.arange(len(tile))
        for start in range(0, len(hit), step):
            chosen = hit[start : start + step]
            whole = chosen[-1] - chosen[0] + 1 == len(chosen)
            scores = tile[chosen[0] : chosen[-1] + 1] if whole else tile[chosen]
            above = scores > self.floor
            if self._places is None:
                self._append(scores[above])
                continue
            row, col = true_places(above)
            self._append(scores[row, col], rows[chosen[row]], cols[col])

    def _append(self, scores, rows=None, cols=None):
        while len(scores):
            if self._size == len(self._scores):
                self._prune()
                above = scores > self.floor
                if not above.all():
                    scores = scores[above]
                    if rows is not None:
                        rows, cols = rows[above], cols[above]
                    continue
            fits = min(len(scores), len(self._scores) - self._size)
            new = slice(self._size, self._size + fits)
            self._scores[new] = scores[:fits]
            scores = scores[fits:]
            if rows is not None:
                self._places[0, new], self._places[1, new] = rows[:fits], cols[:fits]
                rows, cols = rows[fits:], cols[fits:]
            self._size += fits

    def _prune(self):
        if self._size <= self.keep:
            return
        cut = self._size - self.keep
        if self._places is None:
            held = self._scores[: self._size]
            held.partition(cut)
            self._scores[: self.keep] = held[cut:].copy()
        else:
            order = np.argpartition(self._scores[: self._size], cut)[cut:]
            self._scores[: self.keep] = self._scores[order]
            self._places[:, : self.keep] = self._places[:, order]
        self._size = self.keep
        self.floor = self._scores[: self.keep].min()

    @property
    def nbytes(self):
        """Bytes that the scores and their places may take."""
        return self._scores.nbytes + (0 if self._places is None else self._places.nbytes)

    @property
    def complete(self):
        """Whether every score that was added is still held."""
        return self._size == self.count

    def scores(self):
        """Return the largest scores, descending."""
        self._prune()
        return np.sort(self._scores[: self._size])[::-1]

    def scores_and_places(self):
        """Return (scores descending, rows, columns) of the largest scores, when tracked."""
        self._prune()
        order = np.argsort(-self._scores[: self._size], kind="stable")
        return self._scores[order], self._places[0, order], self._places[1, order]


class HistogramSample:
    """A histogram of every 64th row of the blocks that are added.

    Attributes
    ----------
    edges : numpy.ndarray, shape (bins + 1,)
    counts : numpy.ndarray, shape (bins,)
    """

    STEP = 64

    def __init__(self, bins=200):
        self.edges, self.counts = np.linspace(-1, 1, bins + 1), np.zeros(bins, np.int64)

    def add(self, tile):
        """Add a block; minus infinity marks an entry that is not a score."""
        scores = tile[:: self.STEP]
        scores = scores[scores > -2].clip(-1, 1)
        self.counts += np.histogram(scores, len(self.counts), (-1, 1))[0]


class TopScoresPerRow:
    """Collects the `keep` largest scores of every row while blocks of columns are added.

    Attributes
    ----------
    scores : numpy.ndarray, shape (rows, keep)
        In no order within a row; minus infinity where fewer than `keep` were added.
    """

    def __init__(self, rows, keep, dtype=np.float32):
        self.scores = np.full((rows, keep), -np.inf, dtype)
        self._floor = np.full(rows, -np.inf, dtype)

    def add(self, tile, start=0, row_max=None):
        """Add a block (m, n) of scores for the rows from `start` on."""
        if row_max is None:
            row_max = tile.max(axis=1)
        own = slice(start, start + len(tile))
        hit = np.flatnonzero(row_max > self._floor[own])
        keep = self.scores.shape[1]
        step = max(1, _SLICE // tile.shape[1])
        for first in range(0, len(hit), step):
            rows = hit[first : first + step]
            whole = rows[-1] - rows[0] + 1 == len(rows)
            scores = tile[rows[0] : rows[-1] + 1] if whole else tile[rows]
            row, col = true_places(scores > self._floor[start + rows][:, None])
            number = np.bincount(row, minlength=len(rows))
            width = number.max()
            if width > 8 * keep:  # at first, when everything is large
                new = scores if tile.shape[1] <= keep else np.partition(scores, -keep, axis=1)
                new = new[:, -keep:]
            else:
                new = np.full((len(rows), width), -np.inf, tile.dtype)
                place = np.arange(len(row)) - np.repeat(np.cumsum(number) - number, number)
                new[row, place] = scores[row, col]
            both = np.concatenate([self.scores[start + rows], new], axis=1)
            both = np.partition(both, -keep, axis=1)[:, -keep:]
            self.scores[start + rows] = both
            self._floor[start + rows] = both.min(axis=1)

    def sorted(self):
        """Return the scores with each row descending."""
        return np.sort(self.scores, axis=1)[:, ::-1]
