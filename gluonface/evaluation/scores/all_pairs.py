"""Every image against every other, or one set against another, block by block. Pure NumPy.

A million images make half a trillion pairs. Kept are all scores of same pairs, and the highest of
different ones, for each group and for all together.
"""

import dataclasses

import numpy as np

from ...errors import InputError
from ..metrics import bootstrap
from ..metrics.error_rates import of_point
from ..metrics.operating_points import OperatingPoint
from . import pair_scores
from .feature_matrix import (
    COLLAPSED,
    check_matrix,
    is_collapsed,
    multiply,
    row_norms,
    unit_block,
    unit_matrix,
)
from .pair_scores import Pairs, finish
from .topk import find

__all__ = ["BLOCK", "compare_all", "compare_cross", "count_pairs"]

BLOCK = 2048  # rows and columns of a tile: 16 MB
_COPY = 1 << 30  # features of up to so many bytes are normalised once, larger ones in each block


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
    reference=None,
    draws=0,
    product=multiply,
    dtype=np.float32,
    progress=None,
):
    """Compare all unordered pairs of images.

    A zero vector is a failure to make a template, as NIST counts it: its same pairs do not match,
    its different ones rightly do not.

    Parameters
    ----------
    features : array_like, shape (n, D)
        Any length; normalised here. May be mapped from disk.
    identity : array_like, shape (n,)
        Numbers or text.
    group : array_like, shape (n,), optional
        A pair within a group counts for it; every pair counts for all.
    fars : sequence of float
    reference : str, optional
        The group whose strict thresholds all are judged at in ``errors``. Default: all together.
        Intervals of FNMR there hold the threshold fixed.
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
        By group, in sorted order; empty without groups. ``errors`` of each, and of the whole, are
        its error rates at the one threshold.

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
    if reference is not None and reference not in groups.astype(str):
        raise InputError(
            f"group {reference!r} is unknown; there are {', '.join(groups.astype(str)) or 'none'}"
        )
    order = np.lexsort((person, own))
    person, own = person[order], own[order]
    same, different = count_pairs(person)
    if not same or not different:
        raise InputError(
            f"there are {same} same and {different} different pairs of {len(features)} images; "
            "both kinds are needed"
        )
    units, zero, collapsed = _prepare(features, order, dtype)
    whole = Pairs(different, fars, dtype)
    collectors = []
    for number in range(len(groups)):
        collectors.append(Pairs(count_pairs(person[own == number])[1], fars, dtype))
    edges = _edges(own)
    failed = zero if zero.any() and not collapsed else None
    buffer = np.empty(BLOCK * BLOCK, dtype)
    for i, (r0, r1) in enumerate(edges):
        a = units(r0, r1)
        for c0, c1 in edges[i:]:
            b = a if c0 == r0 else units(c0, c1)
            tile = product(a, b, buffer[: len(a) * len(b)].reshape(len(a), len(b)))
            _fail(tile, failed, (r0, r1), (c0, c1))
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
            f"{np.count_nonzero(zero)} images have a zero vector: their pairs count as not matched"
        )
    owners = owner, owner
    found = finish(whole, notes, owners, _unordered(np.bincount(person)), draws)
    parts = {}
    for number, name in enumerate(groups):
        mine = np.flatnonzero(own == number)
        images = np.bincount(person[mine], minlength=len(people))
        part = finish(collectors[number], (), owners, _unordered(images), draws)
        members = {"images": len(mine), "identities": int(np.count_nonzero(images))}
        counts = {**members, **part.counts}
        parts[str(name)] = dataclasses.replace(part, name=str(name), counts=counts)
    members = {"images": len(features), "identities": len(people)}
    found = dataclasses.replace(found, counts={**members, **found.counts})
    if groups.size:
        setting = (found if reference is None else parts[reference]).points
        limits = {p.target: p.threshold for p in setting if p.convention == "strict"}
        again = _Again(product, units, person, failed, owner, draws)
        errors = {None: _errors_at(limits, None, whole, edges, again)}
        if reference is None:  # its own threshold: that it is drawn too is in the interval
            own_points = [p for p in found.points if p.convention == "strict"]
            errors[None] = tuple(of_point(p, dtype) for p in own_points)
        for number, name in enumerate(map(str, groups)):
            inside = [edge for edge in edges if own[edge[0]] == number]
            errors[name] = _errors_at(limits, name, collectors[number], inside, again)
        found = dataclasses.replace(found, errors=errors[None])
        parts = {n: dataclasses.replace(part, errors=errors[n]) for n, part in parts.items()}
    return found, parts


@dataclasses.dataclass(frozen=True)
class _Again:
    """What comparing once more takes."""

    product: object
    units: object
    person: np.ndarray
    failed: object
    owner: np.ndarray
    draws: int

    def count_above(self, limits, edges):
        """Count the different pairs above each of `limits` in the upper triangle of `edges`."""
        counts = np.zeros(len(limits), np.int64)
        for i, (r0, r1) in enumerate(edges):
            for c0, c1 in edges[i:]:
                tile = np.array(self.product(self.units(r0, r1), self.units(c0, c1)))
                _fail(tile, self.failed, (r0, r1), (c0, c1))
                tile[self.person[r0:r1, None] == self.person[None, c0:c1]] = -np.inf
                if r0 == c0:
                    tile[np.tri(len(tile), dtype=bool)] = -np.inf
                counts += [np.count_nonzero(tile > limit) for limit in limits]
        return counts.tolist()


def _errors_at(thresholds, name, pairs, edges, again):
    """Return the `nist.ErrorRate` of one group at given strict thresholds, by target."""
    genuine, rows, _ = pairs.same()
    if not len(genuine) or not pairs.different or not thresholds:
        return ()
    limits = np.array(list(thresholds.values()))
    if pairs.tail.complete or limits.min() >= pairs.tail.floor:
        scores = pairs.tail.scores()
        wrong = [int(np.count_nonzero(scores > limit)) for limit in limits]
    else:  # worse than what set the threshold: its scores have to be counted again
        wrong = again.count_above(limits, edges)
    spans = [(None, None)] * len(limits)
    if again.draws:
        hits, mate = genuine[:, None] > limits, again.owner[rows]
        spans = bootstrap.share_intervals(hits, mate, int(again.owner.max()) + 1, again.draws)
    errors = []
    for target, limit, number, (low, high) in zip(thresholds, limits, wrong, spans):
        point = OperatingPoint(
            target=target,
            tar=float(np.mean(genuine > limit)),
            far=number / pairs.different,
            threshold=float(limit),
            false_accepts=number,
            allowed=0,
            same=len(genuine),
            different=pairs.different,
            convention="strict",
            low=low,
            high=high,
        )
        errors.append(of_point(point, genuine.dtype.type, name))
    return tuple(errors)


def _fail(tile, failed, rows, cols):
    """Give the pairs of images without template the lowest of scores."""
    if failed is not None:
        tile[failed[slice(*rows)]] = -1
        tile[:, failed[slice(*cols)]] = -1


def _unordered(images):
    """Return the weight of all different pairs by draws; `images` (people,): how many of each."""

    def everything(drawn):
        weight = drawn * images
        return (int(weight.sum()) ** 2 - int((weight**2).sum())) // 2

    return everything


def compare_cross(
    one,
    one_identity,
    other,
    other_identity,
    *,
    fars,
    draws=0,
    product=multiply,
    dtype=np.float32,
    progress=None,
):
    """Compare each image of one set with each of another, such as masked with unmasked faces.

    Parameters
    ----------
    one, other : array_like, shape (n, D) and (m, D)
    one_identity, other_identity : array_like
    fars, draws, product, dtype, progress
        As for `compare_all`.

    Returns
    -------
    Outcome
    """
    one = check_matrix(one, "features of one side", len(one_identity))
    other = check_matrix(other, "features of the other side", len(other_identity))
    if one.shape[1] != other.shape[1]:
        raise InputError(f"one side has {one.shape[1]} values each and the other {other.shape[1]}")
    names = np.concatenate([np.asarray(one_identity), np.asarray(other_identity)])
    people, person = _labels(names, len(one) + len(other), "identity")
    units = [unit_matrix(array, "features", dtype)[0] for array in (one, other)]
    notes, failed = [], [~array.any(axis=1) for array in units]
    collapsed = is_collapsed(*units)
    if collapsed:
        units = [np.zeros_like(array) for array in units]
        notes.append(COLLAPSED)
    elif any(side.any() for side in failed):
        count = sum(int(np.count_nonzero(side)) for side in failed)
        notes.append(f"{count} images have a zero vector: their pairs count as not matched")
    owner = person[: len(one)], person[len(one) :]
    images = [np.bincount(side, minlength=len(people)) for side in owner]
    same = int((images[0].astype(object) * images[1]).sum())
    different = len(one) * len(other) - same
    if not same or not different:
        raise InputError(f"there are {same} same and {different} different pairs; both are needed")
    pairs = Pairs(different, fars, dtype)
    buffer = np.empty(BLOCK * BLOCK, dtype)
    for r0 in range(0, len(one), BLOCK):
        rows = np.arange(r0, min(r0 + BLOCK, len(one)))
        for c0 in range(0, len(other), BLOCK):
            cols = np.arange(c0, min(c0 + BLOCK, len(other)))
            a, b = units[0][rows], units[1][cols]
            tile = product(a, b, buffer[: len(a) * len(b)].reshape(len(a), len(b)))
            lost = failed[0][rows][:, None] | failed[1][cols]
            row, col = find(owner[0][rows][:, None] == owner[1][cols])
            scores = tile[row, col]
            scores[lost[row, col] | collapsed] = -np.inf
            pairs.add_same(scores, rows[row], cols[col])
            tile[lost] = -1
            tile[row, col] = -np.inf
            if different > pair_scores.WHOLE:
                pairs.sample.add(tile)
            pairs.tail.add(tile, None, rows, cols, tile.size - len(row))
            if progress is not None:
                progress(tile.size)

    def everything(drawn):
        weights = [drawn * side for side in images]
        return int(weights[0].sum()) * int(weights[1].sum()) - int((weights[0] * weights[1]).sum())

    outcome = finish(pairs, notes, owner, everything, draws)
    counts = {"one": len(one), "other": len(other)}
    return dataclasses.replace(outcome, counts={**counts, **outcome.counts})


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
    sample = unit_block(features[: BLOCK * 2], "features", dtype=dtype)[0]
    if is_collapsed(sample):  # rare: only then is it worth while to look at all of them
        blocks = (
            unit_block(features[start : start + BLOCK], "features", start, dtype=dtype)[0]
            for start in range(0, len(features), BLOCK)
        )
        if all(is_collapsed(sample[:1], block) for block in blocks):
            nothing = np.zeros((BLOCK, features.shape[1]), dtype)
            return (lambda start, stop: nothing[: stop - start]), norms >= 0, True

    def units(start, stop):
        return unit_block(features[order[start:stop]], "features", start, dtype=dtype)[0]

    return units, norms[order] == 0, False


def _edges(own):
    """Cut the sorted rows at group borders and into blocks; return (start, stop) of each."""
    borders = np.concatenate([[0], np.flatnonzero(np.diff(own)) + 1, [len(own)]])
    return [
        (start, min(start + BLOCK, stop))
        for first, stop in zip(borders[:-1], borders[1:])
        for start in range(first, stop, BLOCK)
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
        if pairs.different > pair_scores.WHOLE:
            pairs.sample.add(tile)
        pairs.tail.add(tile, highest, order[r0:r1], order[c0:c1], count)
