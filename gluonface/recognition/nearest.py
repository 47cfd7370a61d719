"""The nearest rows of a matrix, exactly: no index, no approximation.

Products are computed in float32, a tile of rows at a time. Whatever could be among the nearest
after rounding is compared again in float64, so that the answer does not depend on the size of the
tiles. What costs time after a product is looking through the scores: here only the maxima of runs
of columns are taken, and only runs with a maximum above the k-th best so far are looked into.

For one query reading the matrix takes the time. ``native/nearest.cc`` reads it as fast as the
memory gives it and writes only products above the k-th best so far; without a C++ compiler NumPy
does the same.
"""

from __future__ import annotations

import ctypes
import functools
import typing

import numpy as np

from ..errors import InputError
from ..evaluation.scores.feature_matrix import multiply
from ..native.plain import load_plain

__all__ = ["nearest"]

ROWS = 8192  # of the matrix multiplied together: the tile stays in the cache
QUERIES = 256  # multiplied together
RUN = 256  # columns of a tile whose maximum is compared first
BLOCKS = 32  # tiles after which the candidates are sorted again, at the latest
CANDIDATES = 1 << 20  # that are held before they are sorted
VALUES = 1 << 20  # of rows that are compared in float64 together: 8 MB
GROWTH = 8  # times the rows so far are scanned before the bar is raised


def nearest(
    queries: np.ndarray,
    matrix: np.ndarray,
    k: int,
    above: float = -np.inf,
    rows: int = ROWS,
    product: typing.Callable = multiply,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the `k` rows of `matrix` with the highest cosine to each query.

    Parameters
    ----------
    queries : numpy.ndarray, shape (q, D), float32
        Of unit length, or zero.
    matrix : numpy.ndarray, shape (n, D), float32
        Of unit length, or zero.
    k : int
        1 or more.
    above : float, default minus infinity
        Only rows with a higher cosine are found.
    rows : int, default 8192
        Rows multiplied together. Time and memory depend on it, the result does not.
    product : function, default NumPy's
        As in `gluonface.evaluation.scores.feature_matrix`.

    Returns
    -------
    cosines : numpy.ndarray, shape (q, k), float64
        Descending. Minus infinity where there are fewer rows.
    found : numpy.ndarray, shape (q, k), int64
        Numbers of the rows; of equal ones the lower number first. -1 where there are fewer.

    Raises
    ------
    InputError
        `k` or `rows` is less than 1, or the embedding sizes differ.
    """
    for name, value in (("k", k), ("rows", rows)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
            raise InputError(f"{name} is {value!r}; expected a whole number, 1 or more")
    if queries.shape[1] != matrix.shape[1]:
        raise InputError(
            f"the queries have {queries.shape[1]} values and the matrix {matrix.shape[1]}; "
            "embeddings of one model were expected"
        )
    queries = np.ascontiguousarray(queries, np.float32)
    cosines = np.full((len(queries), k), -np.inf)
    found = np.full((len(queries), k), -1, np.int64)
    rows = -(-min(rows, max(1, len(matrix))) // RUN) * RUN
    buffer = np.empty((min(len(queries), QUERIES), rows), np.float32)
    for start in range(0, len(queries), QUERIES):
        some = slice(start, start + QUERIES)
        search = _Search(queries[some], matrix, k, above)
        search.run(buffer[: len(search.queries)], product)
        cosines[some], found[some] = search.cosines, search.found
    return cosines, found


class _Search:
    """The search for some queries.

    Attributes
    ----------
    cosines, found : numpy.ndarray, shape (q, k)
        The best so far, as `nearest` returns them.
    bar : numpy.ndarray, shape (q,), float32
        A row whose product is not above it cannot be among the best.
    """

    def __init__(self, queries, matrix, k, above):
        self.queries, self.matrix = queries, matrix
        # The error of a float32 sum of D products whose absolute values sum up to at most 1.
        self.error = 1.01 * queries.shape[1] * 2.0**-24 + 1e-6
        self.cosines = np.full((len(queries), k), -np.inf)
        self.found = np.full((len(queries), k), -1, np.int64)
        self.above = above
        self.bar = _below(np.full(len(queries), above), self.error)
        self.held: list = []  # (queries, rows, products) that passed the bar
        self.count = 0

    def run(self, buffer, product):
        """Go through the matrix; `buffer` (q, rows) takes the products of a tile."""
        width, sort_at = buffer.shape[1], 1
        rows_above = self._rows_above(product)
        for number, start in enumerate(range(0, len(self.matrix), width), 1):
            block = self.matrix[start : start + width]
            if len(self.queries) == 1 and product is multiply:
                # Reading the matrix takes the time. Measured, 100,000 x 512: 8 ms, OpenBLAS 15 ms.
                np.einsum("ij,j->i", block, self.queries[0], out=buffer[0, : len(block)])
            else:
                product(self.queries, block, buffer[:, : len(block)])
            buffer[:, len(block) :] = -np.inf
            if number == 1 and self.above == -np.inf:
                self._first_bar(buffer, len(block))
            self._add(buffer, start)
            if rows_above is not None:
                self._scan(rows_above, start + len(block))
                break
            if number >= sort_at or self.count > CANDIDATES:
                self._sort()
                sort_at = number + min(number, BLOCKS)
        self._sort()

    def _rows_above(self, product):
        """Return the compiled function that reads the matrix for one query, or None."""
        if len(self.queries) > 1 or product is not multiply:
            return None
        plain = self.matrix.flags.c_contiguous and self.matrix.flags.aligned
        return _compiled() if plain and self.matrix.dtype == np.float32 else None

    def _scan(self, rows_above, start):
        """Hold the products of the rows from `start` on that are above the bar."""
        room = min(len(self.matrix) - start, CANDIDATES)
        rows, products = np.empty(room, np.int64), np.empty(room, np.float32)
        query = self.queries[0]
        while start < len(self.matrix):
            self._raise_bar()
            block = self.matrix[start : min(GROWTH * start, start + room)]
            count = rows_above(
                *(array.ctypes.data for array in (query, block)),
                *block.shape,
                self.bar[0],
                *(array.ctypes.data for array in (rows, products)),
            )
            found = rows[:count] + start
            self.held.append((np.zeros(count, np.int64), found, products[:count].copy()))
            self.count += count
            start += len(block)
            if self.count > CANDIDATES:
                self._sort()

    def _raise_bar(self):
        """Raise the bar of one query by the k-th best product that is held."""
        k = self.cosines.shape[1]
        if self.count >= k:
            held = np.concatenate([products for _, _, products in self.held])
            best = np.partition(held, len(held) - k)[len(held) - k]
            self.bar = np.maximum(self.bar, _below(best, 2 * self.error))

    def _first_bar(self, tile, width):
        """Set the bar by the k-th best of the first tile."""
        k = self.cosines.shape[1]
        if width > k:
            # The k-th best of the maxima of k or more runs is at most the k-th best of all.
            best = tile.reshape(len(tile), -1, RUN).max(axis=2) if width >= k * RUN else tile
            best = np.partition(best, best.shape[1] - k, axis=1)[:, best.shape[1] - k]
            self.bar = _below(best, 2 * self.error)

    def _add(self, tile, start):
        """Hold the products of a tile that are above the bar."""
        runs = tile.reshape(len(tile), -1, RUN)
        # The bits of floats that are not negative rise with them, and whole numbers take half the
        # time. A negative bar lets every run through, to be compared below.
        bar = np.where(self.bar >= 0, self.bar.view(np.int32), np.iinfo(np.int32).min)
        query, run = np.nonzero(runs.view(np.int32).max(axis=2) > bar[:, None])
        for first in range(0, len(query), VALUES // RUN):
            some = slice(first, first + VALUES // RUN)
            scores = runs[query[some], run[some]]
            place, column = np.nonzero(scores > self.bar[query[some], None])
            row = start + run[some][place] * RUN + column
            self.held.append((query[some][place], row, scores[place, column]))
            self.count += len(place)
            if self.count > CANDIDATES:
                self._sort()

    def _sort(self):
        """Compare the candidates in float64; keep the best `k` of each query, raise the bar."""
        if not self.count:
            return
        query, row, score = (np.concatenate(arrays) for arrays in zip(*self.held))
        self.held, self.count = [], 0
        k = self.cosines.shape[1]
        # By the products alone most can be left out: those far below the k-th best.
        order = np.lexsort((-score, query))
        query, row, score = query[order], row[order], score[order]
        starts = np.searchsorted(query, np.arange(len(self.queries)))
        counts = np.diff(np.append(starts, len(query)))
        last = np.minimum(starts + k - 1, len(query) - 1)
        least = np.where(counts >= k, score[last] - 2 * self.error, -np.inf)
        likely = score >= least[query]
        query, row = query[likely], row[likely]
        exact = _cosines(self.queries, self.matrix, query, row)
        real = exact > self.above
        query, row, exact = query[real], row[real], exact[real]
        old_query, place = np.nonzero(self.found >= 0)
        query = np.concatenate([old_query, query])
        row = np.concatenate([self.found[old_query, place], row])
        exact = np.concatenate([self.cosines[old_query, place], exact])
        order = np.lexsort((row, -exact, query))
        query, row, exact = query[order], row[order], exact[order]
        rank = np.arange(len(query)) - np.searchsorted(query, query)
        kept = rank < k
        self.cosines[query[kept], rank[kept]] = exact[kept]
        self.found[query[kept], rank[kept]] = row[kept]
        self.bar = np.maximum(self.bar, _below(self.cosines[:, -1], self.error))


@functools.lru_cache(maxsize=1)
def _compiled():
    """Return the compiled `gluonface_rows_above`, or None."""
    library = load_plain("nearest", "one query is compared with a gallery in NumPy, slower", True)
    if library is None:
        return None
    function, array, number = library.gluonface_rows_above, ctypes.c_void_p, ctypes.c_int64
    function.argtypes = (array, array, number, number, ctypes.c_float, array, array)
    function.restype = number
    return function


def _below(scores, error):
    """Return float32 numbers that lie below `scores` by at least `error`."""
    return np.nextafter((scores - error).astype(np.float32), np.float32(-np.inf))


def _cosines(queries, matrix, query, row):
    """Return the cosines of pairs of a query and a row in float64, by the same sums anywhere."""
    exact = np.empty(len(query))
    step = max(1, VALUES // matrix.shape[1])
    for start in range(0, len(query), step):
        some = slice(start, start + step)
        products = queries[query[some]].astype(np.float64)
        products *= matrix[row[some]]
        exact[some] = products.sum(axis=1)
    return exact
