"""One embedding for each class of a rank, beside the class centres and sharded as they are."""

import numpy as np

from ..._compat import mx
from ..array_operations import inverse_norms
from ..storage import DeviceStore, make_store

__all__ = ["DTYPES", "EmbeddingBank"]

nd = mx.nd
ROWS = "rows"  # the name of the array in the store
DTYPES = ("float32", "float16")


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
    dtype : {"float32", "float16"}
        In which the rows are stored. They are float32 when they are used.
    """

    def __init__(self, start, stop, size, ctx, place, path, label, undoes, dtype="float32"):
        self.start, self.stop, self.size, self.ctx = start, stop, size, ctx
        self.store = make_store(place, ctx, stop - start, path, label)
        self.dtype = dtype
        self.half, device = dtype == "float16", isinstance(self.store, DeviceStore)
        # The other stores have float32: two numbers of half precision make one of theirs.
        self.packed = self.half and not device
        self.store.add(ROWS, -(-size // 2) if self.packed else size)
        self.store.ready()
        if self.half and device:
            self.store.arrays[ROWS] = self.store.arrays[ROWS].astype(dtype)
        self._former = [] if undoes else None  # rows from before the passes since `begin`

    # Rows out of the store and into it, as arrays of its kind in float32

    def read_rows(self, index):
        """Return the rows (m, D) of sorted local ids, or of a slice, as the store's kind of array.

        In host memory those of a slice are the bank's own, if it is float32: wait for what reads
        them before the bank changes.
        """
        return self._open(self.store.read(ROWS, index))

    def _open(self, rows):
        if self.packed:
            rows = np.ascontiguousarray(rows).view(np.float16)[:, : self.size]
        return rows.astype(np.float32) if self.half else rows

    def _close(self, rows):
        """Return rows as they are stored."""
        if not self.packed:
            return rows.astype(np.float16) if self.half else rows
        words = np.zeros((len(rows), 2 * -(-self.size // 2)), np.float16)
        words[:, : self.size] = rows
        return words.view(np.float32)

    def read(self, index):
        """As `read_rows`, as an NDArray of the step."""
        return self.store.to_step(self.read_rows(index))

    def rows_of_step(self, index):
        """Return what has the shape of some rows and gives blocks of them, ``rows[slice]``.

        On a CPU each block is read when it is asked for.
        """
        return _Rows(self, index) if self.ctx.device_type == "cpu" else self.read(index)

    def _write(self, classes, new):
        """Write rows (p, D), an NDArray of the step, and keep what they were for `undo`."""
        if self._former is not None:
            former = self.store.read(ROWS, classes)
            self._former.append((classes, former))
        self.store.write(ROWS, classes, self._close(self.store.from_step(new)))

    # Classes

    def find(self, labels):
        """Return the samples whose class is here, and their classes less `start`."""
        samples = np.flatnonzero((labels >= self.start) & (labels < self.stop))
        return samples, labels[samples] - self.start

    def unit_rows(self, classes):
        """Return the rows (k, D) of some classes in any order as unit vectors, or zeros."""
        found, places = np.unique(classes, return_inverse=True)
        rows = nd.take(self.read(found), nd.array(places, ctx=self.ctx, dtype="int64"))
        return _unit(rows)

    def without_unseen(self, labels):
        """Return labels with -1 in place of the classes here that have no row."""
        samples, classes = self.find(labels)
        if not len(samples):
            return labels
        seen = nd.sum(nd.abs(self.unit_rows(classes)), axis=1).asnumpy() > 0
        labels = labels.copy()
        labels[samples[~seen]] = -1
        return labels

    # How rows change. Embeddings that are not finite are left out.

    def average(self, x, labels, moving):
        """Update the rows of a batch's classes as `LVFace` says.

        Parameters
        ----------
        x : NDArray (N, D)
            Embeddings of all ranks, of unit length.
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
        self._write(classes, nd.broadcast_mul(old, share) + nd.broadcast_mul(mean, 1.0 - share))

    def replace(self, x, labels):
        """Write the last embedding of each class of a batch; arguments as of `average`."""
        samples, classes = self.find(labels)
        if not len(samples):
            return
        classes, last = np.unique(classes[::-1], return_index=True)
        samples = samples[::-1][last]
        x = _finite(nd.take(x, nd.array(samples, ctx=self.ctx, dtype="int64")))
        gone = nd.sum(nd.abs(x), axis=1) == 0
        self._write(classes, nd.where(gone, self.read(classes), x))

    def begin(self):
        """Begin a step: `undo` restores the rows from before it."""
        self._former = []

    def undo(self):
        """Restore the rows from before the last `begin`."""
        while self._former:
            self.store.write(ROWS, *self._former.pop())  # the latest first

    # All rows, for a checkpoint

    def rows(self):
        """Return all rows of this rank as they are stored, as an array-like (n, D)."""
        rows = self.store.export(ROWS)
        return rows.view(np.float16)[:, : self.size] if self.packed else rows

    def load(self, first, rows):
        """Write rows from the class ``start + first`` on."""
        self.store.put(ROWS, first, self._close(np.asarray(rows)))


class _Rows:
    """Some rows of a bank, which are read when a block of them is asked for."""

    def __init__(self, bank, index):
        self.bank, self.index = bank, index
        count = index.stop if isinstance(index, slice) else len(index)
        self.shape = (count, bank.size)

    def __getitem__(self, block):
        index = block if isinstance(self.index, slice) else self.index[block]
        return self.bank.read_rows(index)


def _finite(rows):
    """Return rows, or zeros in place of those that are not finite."""
    return nd.where(nd.min(nd.contrib.isfinite(rows), axis=1), rows, nd.zeros_like(rows))


def _unit(rows):
    """Return rows of unit length, or zeros for a row of zeros."""
    return nd.broadcast_mul(rows, nd.expand_dims(inverse_norms(rows, wait=False), axis=1))
