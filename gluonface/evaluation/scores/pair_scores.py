"""What is kept of the scores of all pairs of a group. Pure NumPy."""

import numpy as np

from .topk import HistogramSample, TopScores, scores_needed

__all__ = ["KEEP_ALL", "PairScores", "memory_bytes"]

KEEP_ALL = 2_000_000  # up to so many different pairs all are kept: there is an area and an EER then
_MOST = 20_000_000  # a target that needs more scores than this is left out


class PairScores:
    """Collects the scores of one group: all of same pairs, the highest of different ones.

    Parameters
    ----------
    different : int
        How many different pairs there will be.
    fars : sequence of float
        What the rates are wanted at.
    dtype : numpy dtype
    least : int, default 10
        How many scores of different pairs to keep at least.

    Attributes
    ----------
    fars, left_out : list of float
        Rates that the kept scores decide, and those that too many scores decide.
    top : TopScores
        Of the different pairs.
    sample : HistogramSample
        Of the different pairs when not all of them are kept.
    """

    def __init__(self, different, fars, dtype, least=10):
        self.different = different
        self.fars = [far for far in fars if scores_needed([far], different) <= _MOST]
        self.left_out = [far for far in fars if far not in self.fars]
        self._sampled = different > KEEP_ALL
        keep = scores_needed(self.fars, different) if self._sampled else different
        self.top = TopScores(max(keep, least), dtype, track=True)
        self.sample = HistogramSample()
        self._same = []

    @property
    def notes(self):
        """A note, in a list, about the rates that are left out."""
        return self.left_out_note("too many different pairs decide it")

    def left_out_note(self, reason):
        """Return a note, in a list, that names the rates left out for a `reason`."""
        left = ", ".join(f"{far:g}" for far in self.left_out)
        return [f"FAR {left} is left out: {reason}"] if left else []

    def add_same(self, scores, rows, cols):
        """Add scores of same pairs and the images they are of."""
        self._same.append((scores, rows, cols))

    def add_different(self, tile, row_max, rows, cols, count=None):
        """Add a block of scores of different pairs; see `TopScores.add`."""
        if self._sampled:
            self.sample.add(tile)
        self.top.add(tile, row_max, rows, cols, count)

    def same(self):
        """Return the scores of all same pairs and the images they are of."""
        if not self._same:
            return np.empty(0), np.empty(0, np.int32), np.empty(0, np.int32)
        return tuple(np.concatenate(columns) for columns in zip(*self._same))


def memory_bytes(different, fars, dtype=np.float32):
    """Return how many bytes the kept scores of groups take at most.

    Parameters
    ----------
    different : sequence of int
        Different pairs of each group.
    fars, dtype
        As for `PairScores`.
    """
    return sum(PairScores(number, fars, dtype).top.nbytes for number in different)
