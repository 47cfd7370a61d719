"""Scores of listed pairs out of blocked products. Pure NumPy.

A list such as IJB-C's names 15.7 million pairs of 23,124 templates: fetching both features for each
pair moves 64 GB. Products of whole blocks, from which the listed entries are then read, move less
than 2 and run at the speed of a matrix product.
"""

import numpy as np

from ...errors import DataError
from .feature_matrix import multiply

__all__ = ["positions", "score_pairs"]

_TILE = 1 << 23  # scores computed together
_CHUNK = 1 << 20  # pairs looked up together
_DIRECT = 40  # one pair on its own costs as much as this many entries of a product


def positions(ids, wanted, name, word="line", line=None):
    """Return the position in `ids` (sorted, unique) of each of `wanted`, as small integers.

    Parameters
    ----------
    ids, wanted : array_like of int
    name : str
        Of the list of `wanted`.
    word : str
        What an error calls its entries.
    line : function, optional
        From the place of an entry, from 0, to the number that an error names.

    Raises
    ------
    DataError
        An id of `wanted` is not among `ids`; it is named with its place in the list.
    """
    wanted, line = np.asarray(wanted), line or (lambda row: row + 1)
    low, high = int(ids[0]), int(ids[-1])
    found = np.empty(len(wanted), np.uint16 if len(ids) < 1 << 16 else np.int32)
    table = None
    if high - low < max(1 << 22, 4 * len(ids)):
        table = np.full(high - low + 1, -1, np.int32)
        table[ids - low] = np.arange(len(ids), dtype=np.int32)
    for start in range(0, len(wanted), _CHUNK):
        chunk = wanted[start : start + _CHUNK]
        if table is None:
            place = np.minimum(np.searchsorted(ids, chunk), len(ids) - 1)
            place = np.where(ids[place] == chunk, place, -1)
        else:
            inside = (chunk >= low) & (chunk <= high)
            place = np.where(inside, table[np.where(inside, chunk - low, 0)], -1)
        found[start : start + _CHUNK] = place
        if place.min(initial=0) < 0:
            at = int(np.argmin(place))
            missing = len(np.setdiff1d(wanted, ids))
            raise DataError(
                f"{name}, {word} {line(start + at)}: template {chunk[at]} has no image "
                f"({missing} ids of this list have none)"
            )
    return found


def score_pairs(units, first, second, product=multiply):
    """Return the dot products of listed rows.

    Parameters
    ----------
    units : numpy.ndarray, shape (m, D)
    first, second : numpy.ndarray of int, shape (n,)
        Rows of `units`.
    product : function, default NumPy's
        See `feature_matrix`.

    Returns
    -------
    numpy.ndarray, shape (n,), of the dtype of `units`
    """
    scores = np.empty(len(first), units.dtype)
    own = [np.flatnonzero(_used(side, len(units))) for side in (first, second)]
    if len(own[0]) > len(own[1]):  # the shorter side gives the rows
        own, first, second = own[::-1], second, first
    if len(own[0]) * len(own[1]) > _DIRECT * len(first):
        return _directly(units, first, second, scores)
    maps = []
    for side in own:
        position = np.zeros(len(units), np.int32)
        position[side] = np.arange(len(side), dtype=np.int32)
        maps.append(position)
    step = max(1, min(_TILE // len(own[1]), len(own[0])))
    columns = units if len(own[1]) == len(units) else units[own[1]]
    blocks = -(-len(own[0]) // step)
    in_block = np.empty(len(first), np.uint8 if blocks <= 256 else np.int32)
    block_of = (maps[0] // step).astype(in_block.dtype)
    for start in range(0, len(first), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        in_block[chunk] = block_of[first[chunk]]
    tile = np.empty((step, len(own[1])), units.dtype)
    for block in range(blocks):
        rows = own[0][block * step : (block + 1) * step]
        here = product(units[rows], columns, tile[: len(rows)])
        flat = here.ravel()
        for start in range(0, len(first), 4 * _CHUNK):
            chosen = np.flatnonzero(in_block[start : start + 4 * _CHUNK] == block) + start
            entry = maps[0][first[chosen]].astype(np.int64)
            entry -= block * step
            entry *= len(own[1])
            entry += maps[1][second[chosen]]
            scores[chosen] = flat[entry]
    return scores


def _used(side, rows):
    used = np.zeros(rows, bool)
    for start in range(0, len(side), _CHUNK):
        used[side[start : start + _CHUNK]] = True
    return used


def _directly(units, first, second, scores):
    """Multiply the rows of each pair: for short lists over many templates."""
    step = max(1, (1 << 21) // units.shape[1])
    for start in range(0, len(first), step):
        chunk = slice(start, start + step)
        np.einsum("ij,ij->i", units[first[chunk]], units[second[chunk]], out=scores[chunk])
    return scores
