"""Every image against every other, or one set against another, block by block. Pure NumPy.

A million images make half a trillion pairs. Kept are all scores of same pairs, and the highest of
different ones, for each group and for all together.
"""

import dataclasses

import numpy as np

from ..errors import InputError
from . import bootstrap
from .features import (
    COLLAPSED,
    check_matrix,
    is_collapsed,
    multiply,
    row_norms,
    unit_block,
    unit_matrix,
)
from .ijb import summarize, with_spans
from .outcomes import Hard
from .tails import Sample, Tail, find, keep_for

__all__ = ["WHOLE", "compare_all", "compare_cross", "count_pairs"]

WHOLE = 2_000_000  # up to so many different pairs all are kept: then there is an area and an EER
_BLOCK = 2048  # rows and columns of a tile: 16 MB
_KEEP = 20_000_000  # a target that needs more scores than this is left out
_COPY = 1 << 30  # features of up to so many bytes are normalised once, larger ones in each block


class _Pairs:
    """Collects the scores of one group."""

    def __init__(self, different, fars, dtype):
        self.different = different
        self.fars = [far for far in fars if keep_for([far], different) <= _KEEP]
        self.left_out = [far for far in fars if far not in self.fars]
        keep = keep_for(self.fars, different) if different > WHOLE else different
        self.tail = Tail(max(keep, 10), dtype, track=True)
        self.sample = Sample()
        self._same = []

    def add_same(self, scores, rows, cols):
        self._same.append((scores, rows, cols))

    def same(self):
        if not self._same:
            return np.empty(0), np.empty(0, np.int32), np.empty(0, np.int32)
        return tuple(np.concatenate(parts) for parts in zip(*self._same))


def count_pairs(identity):
    """Return the numbers of same and of different pairs among all unordered pairs of images."""
    number = np.unique(identity, return_counts=True)[1].astype(object)
    same = int((number * (number - 1) // 2).sum())
    return same, len(identity) * (len(identity) - 1) // 2 - same


def compare_all(
    features,
    identity,
    group=None,
    *,
    fars,
    draws=0,
    product=multiply,
    dtype=np.float32,
    progress=None,
):
    """Compare all unordered pairs of images.

    Parameters
    ----------
    features : array_like, shape (n, D)
        Any length; normalised here. May be mapped from disk.
    identity : array_like, shape (n,)
        Numbers or text.
    group : array_like, shape (n,), optional
        A pair within a group counts for it; every pair counts for all.
    fars : sequence of float
    draws : int, default 0
        Bootstrap draws of identities.
    product, dtype
        See `features`.
    progress : function, optional
        Called with the number of pairs done since the last call.

    Returns
    -------
    whole : Outcome
    parts : dict of str to Outcome
        By group, in sorted order; empty without groups.

    Raises
    ------
    InputError
        An identity in two groups, no same or no different pair, or a value that is not finite.
    """
    features = check_matrix(features, "features")
    people, person = _labels(identity, len(features), "identity")
    groups, own = (np.zeros(0, str), np.zeros(len(features), np.int64))
    if group is not None:
        groups, own = _labels(group, len(features), "group")
        _require_one_group(people, person, groups, own)
    order = np.lexsort((person, own))
    person, own = person[order], own[order]
    same, different = count_pairs(person)
    if not same or not different:
        raise InputError(
            f"there are {same} same and {different} different pairs of {len(features)} images; "
            "both kinds are needed"
        )
    units, zero, collapsed = _prepare(features, order, dtype)
    whole = _Pairs(different, fars, dtype)
    collectors = []
    for number in range(len(groups)):
        collectors.append(_Pairs(count_pairs(person[own == number])[1], fars, dtype))
    edges = _edges(own)
    buffer = np.empty(_BLOCK * _BLOCK, dtype)
    for i, (r0, r1) in enumerate(edges):
        a = units(r0, r1)
        for c0, c1 in edges[i:]:
            b = a if c0 == r0 else units(c0, c1)
            tile = product(a, b, buffer[: len(a) * len(b)].reshape(len(a), len(b)))
            inside = [whole]
            if collectors and own[r0] == own[c0]:
                inside.append(collectors[own[r0]])
            _collect(tile, person, order, zero, (r0, r1), (c0, c1), inside)
            if progress is not None:
                progress(len(a) * len(b) if c0 > r0 else len(a) * (len(a) - 1) // 2)
    owner = np.empty(len(order), np.int64)
    owner[order] = person
    notes = [COLLAPSED] if collapsed else []
    if zero.any() and not collapsed:
        notes.append(
            f"{np.count_nonzero(zero)} images have a zero vector: their same pairs count as not "
            "matched, their different pairs as a score of 0"
        )
    found = _finish(whole, np.bincount(person), owner, draws, notes)
    limits = {p.target: p.threshold for p in found.points if p.convention == "strict"}
    parts = {}
    for number, name in enumerate(groups):
        mine = np.flatnonzero(own == number)
        images = np.bincount(person[mine], minlength=len(people))
        part = _finish(collectors[number], images, owner, draws, [])
        again = [edge for edge in edges if own[edge[0]] == number]
        pooled = _at_thresholds(collectors[number], limits, units, again, person)
        members = {"images": len(mine), "identities": int(np.count_nonzero(images))}
        parts[str(name)] = dataclasses.replace(
            part,
            name=str(name),
            counts={**members, **part.counts},
            measures={**part.measures, **pooled},
        )
    members = {"images": len(features), "identities": len(people)}
    return dataclasses.replace(found, counts={**members, **found.counts}), parts


def _at_thresholds(pairs, thresholds, units, edges, person):
    """Return FMR and FNMR of a group at the thresholds of all groups together."""
    genuine = pairs.same()[0]
    if not len(genuine) or not pairs.different:
        return {}
    limits = np.array(list(thresholds.values()))
    if pairs.tail.complete or limits.min() >= pairs.tail.floor:
        scores = pairs.tail.scores()
        wrong = [int(np.count_nonzero(scores > limit)) for limit in limits]
    else:  # the group is worse than all together: its scores have to be counted again
        wrong = _count_above(limits, units, edges, person)
    measures = {}
    for target, limit, number in zip(thresholds, limits, wrong):
        measures[f"FMR at ALL's {target:g}"] = number / pairs.different
        measures[f"FNMR at ALL's {target:g}"] = float(np.mean(~(genuine > limit)))
    return measures


def _count_above(limits, units, edges, person):
    """Count the different pairs of a group above each of `limits`."""
    counts = np.zeros(len(limits), np.int64)
    for i, (r0, r1) in enumerate(edges):
        for c0, c1 in edges[i:]:
            tile = multiply(units(r0, r1), units(c0, c1))
            tile[person[r0:r1, None] == person[None, c0:c1]] = -np.inf
            if r0 == c0:
                tile[np.tri(len(tile), dtype=bool)] = -np.inf
            counts += [np.count_nonzero(tile > limit) for limit in limits]
    return counts.tolist()


def compare_cross(
    one, one_identity, other, other_identity, *, fars, product=multiply, dtype=np.float32
):
    """Compare each image of one set with each of another, such as masked with unmasked faces.

    Parameters
    ----------
    one, other : array_like, shape (n, D) and (m, D)
    one_identity, other_identity : array_like
    fars, product, dtype
        As for `compare_all`.

    Returns
    -------
    Outcome
    """
    names = np.concatenate([np.asarray(one_identity), np.asarray(other_identity)])
    person = _labels(names, len(one) + len(other), "identity")[1]
    units = [unit_matrix(array, "features", dtype)[0] for array in (one, other)]
    notes = []
    if is_collapsed(*units):
        units = [np.zeros_like(array) for array in units]
        notes.append(COLLAPSED)
    a_ids, b_ids = person[: len(one)], person[len(one) :]
    shared = np.bincount(a_ids, minlength=person.max() + 1).astype(object)
    same = int((shared * np.bincount(b_ids, minlength=person.max() + 1)).sum())
    different = len(one) * len(other) - same
    if not same or not different:
        raise InputError(f"there are {same} same and {different} different pairs; both are needed")
    pairs = _Pairs(different, fars, dtype)
    for r0 in range(0, len(one), _BLOCK):
        a, mine = units[0][r0 : r0 + _BLOCK], a_ids[r0 : r0 + _BLOCK]
        for c0 in range(0, len(other), _BLOCK):
            b, theirs = units[1][c0 : c0 + _BLOCK], b_ids[c0 : c0 + _BLOCK]
            tile = product(a, b)
            row, col = find(mine[:, None] == theirs)
            scores = tile[row, col]
            scores[~a[row].any(axis=1) | ~b[col].any(axis=1)] = -np.inf
            pairs.add_same(scores, row + r0, col + c0)
            tile[row, col] = -np.inf
            rows, cols = np.arange(r0, r0 + len(a)), np.arange(c0, c0 + len(b))
            pairs.tail.add(tile, None, rows, cols, tile.size - len(row))
    return dataclasses.replace(
        _finish(pairs, None, None, 0, notes),
        counts={"one": len(one), "other": len(other), "same": same, "different": different},
    )


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
    norms = row_norms(features, "features")
    sample = unit_block(features[: _BLOCK * 2], "features", dtype=dtype)[0]
    if is_collapsed(sample):  # rare: only then is it worth while to look at all of them
        blocks = (
            unit_block(features[start : start + _BLOCK], "features", start, dtype=dtype)[0]
            for start in range(0, len(features), _BLOCK)
        )
        if all(is_collapsed(sample[:1], block) for block in blocks):
            nothing = np.zeros((_BLOCK, features.shape[1]), dtype)
            return (lambda start, stop: nothing[: stop - start]), norms >= 0, True

    def units(start, stop):
        return unit_block(features[order[start:stop]], "features", start, dtype=dtype)[0]

    return units, norms[order] == 0, False


def _edges(own):
    """Cut the sorted rows at group borders and into blocks; return (start, stop) of each."""
    borders = np.concatenate([[0], np.flatnonzero(np.diff(own)) + 1, [len(own)]])
    return [
        (start, min(start + _BLOCK, stop))
        for first, stop in zip(borders[:-1], borders[1:])
        for start in range(first, stop, _BLOCK)
    ]


def _collect(tile, person, order, zero, rows, cols, inside):
    """Hand the scores of one tile of the upper triangle to the collectors `inside`."""
    (r0, r1), (c0, c1) = rows, cols
    count = tile.size
    if r0 == c0:
        count = len(tile) * (len(tile) - 1) // 2
        tile[np.tri(len(tile), dtype=bool)] = -np.inf
    # Rows are sorted by identity within a group: only tiles beside the diagonal hold same pairs.
    if person[r1 - 1] >= person[c0]:
        same = person[r0:r1, None] == person[None, c0:c1]
        if r0 == c0:
            same = np.triu(same, 1)
        row, col = find(same)
        scores = tile[row, col]
        scores[zero[r0 + row] | zero[c0 + col]] = -np.inf
        tile[row, col] = -np.inf
        count -= len(row)
        for pairs in inside:
            pairs.add_same(scores, order[r0 + row], order[c0 + col])
    highest = tile.max(axis=1)
    for pairs in inside:
        if pairs.different > WHOLE:
            pairs.sample.add(tile)
        pairs.tail.add(tile, highest, order[r0:r1], order[c0:c1], count)


def _finish(pairs, images, owner, draws, notes):
    """Return the Outcome of what was collected; without rates when a kind of pair is missing."""
    genuine, rows, cols = pairs.same()
    counts = {"same": len(genuine), "different": pairs.different}
    if not len(genuine) or not pairs.different:
        kind = "same" if not len(genuine) else "different"
        empty = summarize(np.zeros(1), np.zeros(1), 1, (), ())
        note = f"no {kind} pairs: there is no rate"
        return dataclasses.replace(
            empty, counts=counts, notes=(note,), measures={}, roc=None, histogram=None
        )
    scores, top_rows, top_cols = pairs.tail.places()
    if pairs.left_out:
        left = ", ".join(f"{far:g}" for far in pairs.left_out)
        notes = [*notes, f"FAR {left} is left out: too many different pairs decide it"]
    outcome = summarize(genuine, scores, pairs.different, pairs.fars, notes, pairs.sample)
    if draws:
        outcome = dataclasses.replace(
            outcome,
            points=_intervals(
                outcome, genuine, owner[rows], scores, owner[top_rows], owner[top_cols], images,
                draws,
            ),
        )  # fmt: skip
    lowest = np.argsort(genuine, kind="stable")[:10]
    return dataclasses.replace(
        outcome,
        counts=counts,
        hardest=tuple(
            Hard("highest different", int(a), int(b), float(score))
            for score, a, b in zip(scores[:10], top_rows, top_cols)
        )
        + tuple(
            Hard("lowest same", int(rows[i]), int(cols[i]), float(genuine[i]))
            for i in lowest
            if genuine[i] > -np.inf
        ),
    )


def _intervals(outcome, genuine, mate, scores, one, other, images, draws):
    """Return the points with intervals. `images` (people,): how many each has in this group."""

    def everything(drawn):
        weight = drawn * images
        return (int(weight.sum()) ** 2 - int((weight**2).sum())) // 2

    targets = [p.target for p in outcome.points if p.convention == "strict"]
    spans = bootstrap.tar_intervals(
        (genuine, lambda drawn: drawn[mate]),
        (scores, lambda drawn: drawn[one] * drawn[other], everything),
        len(images),
        targets,
        draws,
    )
    return with_spans(outcome.points, dict(zip(targets, spans)))
