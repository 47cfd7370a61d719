"""One embedding for each class of a rank, beside the class centres and sharded as they are."""

import numpy as np

from ..._compat import mx
from ..array_operations import inverse_norms
from ..storage import make_store

__all__ = ["EmbeddingBank"]

nd = mx.nd
ROWS = "rows"  # the name of the array in the store


class EmbeddingBank:
    """An embedding for each class, without gradient and without state of an optimizer.

    A row of zeros is a class that was not seen yet.

    Parameters
    ----------
    start, stop : int
        The classes of this rank.
    size : int
        D.
    ctx : mxnet.Context
        Of the step.
    place, path, label
        As of `make_store`.
    undoes : bool
        Whether `undo` is to work before the first `begin`.
    """

    def __init__(self, start, stop, size, ctx, place, path, label, undoes):
        self.start, self.stop, self.size, self.ctx = start, stop, size, ctx
        self.store = make_store(place, ctx, stop - start, path, label)
        self.store.add(ROWS, size)
        self.store.ready()
        self._former = [] if undoes else None  # rows from before the passes since `begin`

    def read(self, index):
        """Return the rows (m, D) of sorted local ids, or of a slice, as an NDArray of the step.

        On a CPU those of a slice are the bank's own memory: wait for what reads them before the
        bank changes.
        """
        return self.store.to_step(self.store.read(ROWS, index))

    def find(self, labels):
        """Return the samples whose class is here, and their classes less `start`."""
        samples = np.flatnonzero((labels >= self.start) & (labels < self.stop))
        return samples, labels[samples] - self.start

    def unit_rows(self, classes):
        """Return the rows (k, D) of some classes in any order as unit vectors, or zeros."""
        found, places = np.unique(classes, return_inverse=True)
        rows = nd.take(self.read(found), nd.array(places, ctx=self.ctx, dtype="int64"))
        return _unit(rows)

    def average(self, x, labels, moving):
        """Update the rows of a batch's classes as `LVFace` says.

        Parameters
        ----------
        x : NDArray (N, D)
            Embeddings of all ranks, of unit length. Those that are not finite are left out.
        labels : numpy.ndarray (N,) int64
        moving : bool
            False: only classes without a row get one.
        """
        samples, classes = self.find(labels)
        if not len(samples):
            return
        classes, places = np.unique(classes, return_inverse=True)
        members = nd.array(places[None] == np.arange(len(classes))[:, None], ctx=self.ctx)
        x = _finite(nd.take(x, nd.array(samples, ctx=self.ctx, dtype="int64")))
        mean, old = _unit(nd.dot(members, x)), self.read(classes)
        inverse = inverse_norms(old, wait=False)
        share = inverse > 0  # 0 for a class without a row
        if moving:
            share = share * nd.sigmoid(nd.sum(old * mean, axis=1) * inverse)
        share = nd.expand_dims(share, axis=1)
        new = nd.broadcast_mul(old, share) + nd.broadcast_mul(mean, 1.0 - share)
        self._write(classes, old, new)

    def _write(self, classes, old, new):
        """Write rows, and keep what they were for `undo`."""
        if self._former is not None:
            self._former.append((classes, self.store.from_step(old)))
        self.store.write(ROWS, classes, self.store.from_step(new))

    def begin(self):
        """Begin a step: `undo` restores the rows from before it."""
        self._former = []

    def undo(self):
        """Restore the rows from before the last `begin`."""
        while self._former:
            self.store.write(ROWS, *self._former.pop())  # the latest first

    def rows(self):
        """Return all rows of this rank, as an array-like."""
        return self.store.export(ROWS)

    def load(self, first, rows):
        """Write rows from the class ``start + first`` on."""
        self.store.put(ROWS, first, rows)


def _finite(rows):
    """Return rows, or zeros in place of those that are not finite."""
    return nd.where(nd.min(nd.contrib.isfinite(rows), axis=1), rows, nd.zeros_like(rows))


def _unit(rows):
    """Return rows of unit length, or zeros for a row of zeros."""
    return nd.broadcast_mul(rows, nd.expand_dims(inverse_norms(rows, wait=False), axis=1))
