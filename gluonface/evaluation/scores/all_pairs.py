"""Every image against every other, or one set against another, block by block. Pure NumPy.

A million images make half a trillion pairs. All scores of same pairs are kept, and the highest of
different ones, for each group and for all together.
"""

import numpy as np

from ...errors import InputError
from .feature_matrix import (
    COLLAPSED,
    check_matrix,
    is_collapsed,
    multiply,
    row_lengths,
    unit_block,
    unit_matrix,
)
from .pair_scores import PairScores
from .topk import true_places

__all__ = ["BLOCK", "AllPairs", "CrossPairs", "count_pairs"]

BLOCK = 2048  # rows and columns of a tile: 16 MB
_COPY = 1 << 30  # features of up to so many bytes are normalised once, larger ones in each block


def count_pairs(identity):
    """Return the numbers of same and of different pairs among all unordered pairs of images."""
    number = np.unique(identity, return_counts=True)[1].astype(object)
    same = int((number * (number - 1) // 2).sum())
    return same, len(identity) * (len(identity) - 1) // 2 - same


class AllPairs:
    """All unordered pairs of images.

    Parameters
    ----------
    features, identity, group, product, dtype
        As for `protocols.all_pairs.compare_all`.

    Attributes
    ----------
    groups : numpy.ndarray of str
        Their names, sorted.
    owner : numpy.ndarray of int, shape (n,)
        Whose each image is, as numbers.
    group : numpy.ndarray of int, shape (n,)
        In which of `groups` each image is.
    notes : list of str

    Raises
    ------
    InputError
        An identity in two groups, no same or no different pair, or a value that is not finite.
    """

    def __init__(self, features, identity, group=None, product=multiply, dtype=np.float32):
        features = check_matrix(features, "features")
        people, person = _labels(identity, len(features), "identity")
        self.groups, self.group = np.zeros(0, str), np.zeros(len(features), np.int64)
        if group is not None:
            groups, self.group = _labels(group, len(features), "group")
            _require_one_group(people, person, groups, self.group)
            self.groups = groups.astype(str)
        self.owner, self.people, self.dtype, self._product = person, len(people), dtype, product
        same, self.different = count_pairs(person)
        if not same or not self.different:
            raise InputError(
                f"there are {same} same and {self.different} different pairs of {len(features)} "
                "images; both kinds are needed"
            )
        self._order = order = np.lexsort((person, self.group))
        self._person, self._own = person[order], self.group[order]
        self._units, self._zero, collapsed = _prepare(features, order, dtype)
        self._failed = self._zero if self._zero.any() and not collapsed else None
        self.notes = [COLLAPSED] if collapsed else _zero_note(np.count_nonzero(self._zero))
        # Blocks are cut at the borders of groups, so that each tile is within one or between two.
        borders = np.concatenate([[0], np.flatnonzero(np.diff(self._own)) + 1, [len(order)]])
        self._blocks = [
            (start, min(start + BLOCK, stop))
            for first, stop in zip(borders[:-1], borders[1:])
            for start in range(first, stop, BLOCK)
        ]

    def compare(self, fars, progress=None):
        """Compare all pairs.

        Parameters
        ----------
        fars : sequence of float
        progress : function, optional
            Called with the number of pairs done since the last call.

        Returns
        -------
        whole : PairScores
        groups : list of PairScores
        """
        whole = PairScores(self.different, fars, self.dtype)
        groups = [
            PairScores(count_pairs(self.owner[self.group == number])[1], fars, self.dtype)
            for number in range(len(self.groups))
        ]
        for rows, cols, tile in self._tiles(self._blocks):
            inside = [whole]
            if groups and self._own[rows[0]] == self._own[cols[0]]:
                inside.append(groups[self._own[rows[0]]])
            count = len(tile) * (len(tile) - 1) // 2 if rows == cols else tile.size
            self._collect(tile, rows, cols, count, inside)
            if progress is not None:
                progress(count)
        return whole, groups

    def count_above(self, limits, number=None):
        """Compare again: return how many different pairs score above each of `limits`.

        `number` is that of a group; all pairs otherwise.
        """
        blocks = [b for b in self._blocks if number is None or self._own[b[0]] == number]
        counts = np.zeros(len(limits), np.int64)
        for (r0, r1), (c0, c1), tile in self._tiles(blocks):
            tile[self._person[r0:r1, None] == self._person[None, c0:c1]] = -np.inf
            counts += [np.count_nonzero(tile > limit) for limit in limits]
        return counts.tolist()

    def _tiles(self, blocks):
        """Yield rows, columns and scores of the upper triangle, minus infinity below it."""
        buffer = np.empty(BLOCK * BLOCK, self.dtype)
        for i, (r0, r1) in enumerate(blocks):
            a = self._units(r0, r1)
            for c0, c1 in blocks[i:]:
                b = a if c0 == r0 else self._units(c0, c1)
                tile = self._product(a, b, buffer[: len(a) * len(b)].reshape(len(a), len(b)))
                if self._failed is not None:  # images without template: the lowest of scores
                    tile[self._failed[r0:r1]] = -1
                    tile[:, self._failed[c0:c1]] = -1
                if r0 == c0:
                    tile[np.tri(len(tile), dtype=bool)] = -np.inf
                yield (r0, r1), (c0, c1), tile

    def _collect(self, tile, rows, cols, count, inside):
        """Add the scores of a tile with `count` pairs to the collectors `inside`."""
        (r0, r1), (c0, c1) = rows, cols
        person, order = self._person, self._order
        # Rows are sorted by identity within a group: only tiles beside the diagonal hold same
        # pairs.
        if person[r1 - 1] >= person[c0]:
            same = person[r0:r1, None] == person[None, c0:c1]
            if r0 == c0:
                same = np.triu(same, 1)
            row, col = true_places(same)
            scores = tile[row, col]
            scores[self._zero[r0 + row] | self._zero[c0 + col]] = -np.inf
            tile[row, col] = -np.inf
            count -= len(row)
            for pairs in inside:
                pairs.add_same(scores, order[r0 + row], order[c0 + col])
        highest = tile.max(axis=1)
        for pairs in inside:
            pairs.add_different(tile, highest, order[r0:r1], order[c0:c1], count)


class CrossPairs:
    """Each image of one set with each of another.

    Parameters
    ----------
    one, one_identity, other, other_identity, product, dtype
        As for `protocols.all_pairs.compare_cross`.

    Attributes
    ----------
    owner : list of numpy.ndarray of int
        Whose the images of either side are, as numbers.
    people : int
    notes : list of str
    """

    def __init__(
        self, one, one_identity, other, other_identity, product=multiply, dtype=np.float32
    ):
        one = check_matrix(one, "features of one side", len(one_identity))
        other = check_matrix(other, "features of the other side", len(other_identity))
        if one.shape[1] != other.shape[1]:
            raise InputError(
                f"one side has {one.shape[1]} values each and the other {other.shape[1]}"
            )
        names = np.concatenate([np.asarray(one_identity), np.asarray(other_identity)])
        people, person = _labels(names, len(one) + len(other), "identity")
        self._units = [unit_matrix(array, "features", dtype)[0] for array in (one, other)]
        self._failed = [~array.any(axis=1) for array in self._units]
        self._collapsed = is_collapsed(*self._units)
        self.notes = _zero_note(sum(int(np.count_nonzero(side)) for side in self._failed))
        if self._collapsed:
            self._units = [np.zeros_like(array) for array in self._units]
            self.notes = [COLLAPSED]
        self.owner, self.people = [person[: len(one)], person[len(one) :]], len(people)
        self.dtype, self._product = dtype, product

    def compare(self, different, fars, progress=None):
        """Return the `PairScores` of all pairs, of which `different` are of two people."""
        pairs = PairScores(different, fars, self.dtype)
        buffer = np.empty(BLOCK * BLOCK, self.dtype)
        one, other = self._units
        for r0 in range(0, len(one), BLOCK):
            rows = np.arange(r0, min(r0 + BLOCK, len(one)))
            for c0 in range(0, len(other), BLOCK):
                cols = np.arange(c0, min(c0 + BLOCK, len(other)))
                a, b = one[rows], other[cols]
                tile = self._product(a, b, buffer[: len(a) * len(b)].reshape(len(a), len(b)))
                lost = self._failed[0][rows][:, None] | self._failed[1][cols]
                row, col = true_places(self.owner[0][rows][:, None] == self.owner[1][cols])
                scores = tile[row, col]
                scores[lost[row, col] | self._collapsed] = -np.inf
                pairs.add_same(scores, rows[row], cols[col])
                tile[lost] = -1
                tile[row, col] = -np.inf
                pairs.add_different(tile, None, rows, cols, tile.size - len(row))
                if progress is not None:
                    progress(tile.size)
        return pairs


def _zero_note(count):
    """Return a note, in a list, about images without template."""
    note = f"{count} images have a zero vector: their pairs count as not matched"
    return [note] if count else []


def _labels(values, rows, what):
    values = np.asarray(values)
    if values.shape != (rows,) or values.dtype.kind not in "iuUS":
        raise InputError(
            f"{what} has shape {values.shape} and dtype {values.dtype} for {rows} images; expected "
            "one number or text each"
        )
    return np.unique(values, return_inverse=True)


def _require_one_group(people, person, groups, own):
    first = np.full(len(people), -1, np.int64)
    first[person[::-1]] = own[::-1]
    wrong = np.flatnonzero(own != first[person])
    if len(wrong):
        row = int(wrong[0])
        raise InputError(
            f"identity {people[person[row]]} is in group {groups[first[person[row]]]} and, at "
            f"image {row + 1}, in {groups[own[row]]}; an identity has one group"
        )


def _prepare(features, order, dtype):
    """Return a function from sorted rows to unit features, a mask of zero rows, and collapse."""
    size = features.shape[0] * features.shape[1] * np.dtype(dtype).itemsize
    if size <= _COPY:
        ready = unit_matrix(features, "features", dtype)[0][order]
        collapsed = is_collapsed(ready)
        if collapsed:
            ready[:] = 0
        return (lambda start, stop: ready[start:stop]), ~ready.any(axis=1), collapsed
    lengths = row_lengths(features, "features")
    sample = unit_block(features[: BLOCK * 2], "features", dtype=dtype)[0]
    if is_collapsed(sample):  # rare: then all rows are checked
        blocks = (
            unit_block(features[start : start + BLOCK], "features", start, dtype=dtype)[0]
            for start in range(0, len(features), BLOCK)
        )
        if all(is_collapsed(sample[:1], block) for block in blocks):
            nothing = np.zeros((BLOCK, features.shape[1]), dtype)
            return (lambda start, stop: nothing[: stop - start]), lengths >= 0, True

    def units(start, stop):
        return unit_block(features[order[start:stop]], "features", start, dtype=dtype)[0]

    return units, lengths[order] == 0, False
