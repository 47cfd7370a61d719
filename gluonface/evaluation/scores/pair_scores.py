"""What is kept of the scores of all pairs of a group, and the outcome of it. Pure NumPy."""

import dataclasses

import numpy as np

from ..metrics import bootstrap
from ..results.outcome import Hard
from ..results.summary import summarize, with_spans
from .topk import Sample, Tail, keep_for

__all__ = ["WHOLE", "Pairs", "finish", "room"]

WHOLE = 2_000_000  # up to so many different pairs all are kept: then there is an area and an EER
_KEEP = 20_000_000  # a target that needs more scores than this is left out


class Pairs:
    """Collects the scores of one group: all of same pairs, the highest of different ones.

    Parameters
    ----------
    different : int
        How many different pairs there will be.
    fars : sequence of float
        What the rates are wanted at; those that too many scores decide are left out.
    dtype : numpy dtype
    """

    def __init__(self, different, fars, dtype):
        self.different = different
        self.fars = [far for far in fars if keep_for([far], different) <= _KEEP]
        self.left_out = [far for far in fars if far not in self.fars]
        keep = keep_for(self.fars, different) if different > WHOLE else different
        self.tail = Tail(max(keep, 10), dtype, track=True)
        self.sample = Sample()
        self._same = []

    def add_same(self, scores, rows, cols):
        """Add scores of same pairs and the images they are of."""
        self._same.append((scores, rows, cols))

    def same(self):
        """Return the scores of all same pairs and the images they are of."""
        if not self._same:
            return np.empty(0), np.empty(0, np.int32), np.empty(0, np.int32)
        return tuple(np.concatenate(parts) for parts in zip(*self._same))


def room(different, fars, dtype=np.float32):
    """Return how many bytes the kept scores of groups take at most.

    Parameters
    ----------
    different : sequence of int
        Different pairs of each group.
    fars, dtype
        As for `Pairs`.
    """
    return sum(Pairs(number, fars, dtype).tail.nbytes for number in different)


def finish(pairs, notes=(), owner=None, everything=None, draws=0):
    """Return the Outcome of what was collected; without rates when a kind of pair is missing.

    Parameters
    ----------
    pairs : Pairs
    notes : sequence of str
    owner : (numpy.ndarray, numpy.ndarray), optional
        Whose the images on either side are, as numbers; for a bootstrap.
    everything : function, optional
        The weight of all different pairs when each person was drawn so often, (people,) -> int.
    draws : int, default 0
    """
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
        one, other = owner
        mate, first, second = one[rows], one[top_rows], other[top_cols]
        targets = [p.target for p in outcome.points if p.convention == "strict"]
        spans = bootstrap.tar_intervals(
            (genuine, lambda drawn: drawn[mate]),
            (scores, lambda drawn: drawn[first] * drawn[second], everything),
            int(max(one.max(), other.max())) + 1,
            targets,
            draws,
        )
        points = with_spans(outcome.points, dict(zip(targets, spans)))
        outcome = dataclasses.replace(outcome, points=points)
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
