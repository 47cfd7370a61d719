"""Storage of class centres and optimizer state in the memory of a GPU."""

from ..._compat import mx
from .host import HostStore

__all__ = ["DeviceStore"]

nd = mx.nd


class DeviceStore:
    """Rows in the memory of a GPU, as NDArrays."""

    def __init__(self, classes, ctx):
        self.classes, self.ctx, self.arrays = classes, ctx, {}

    add, fill = HostStore.add, HostStore.fill

    def allocate(self, shape):
        """Return an array of zeros."""
        return nd.zeros(shape, ctx=self.ctx)

    def ready(self):
        """Do nothing: the arrays are there."""

    def put(self, name, first, rows):
        """Write the rows from `first` on."""
        array = self.arrays[name]
        array[first : first + len(rows)] = nd.array(rows, ctx=self.ctx, dtype=array.dtype)

    def export(self, name):
        """Return all rows, as an array-like."""
        return self.arrays[name].asnumpy()

    def _index(self, index):
        return nd.array(index, ctx=self.ctx, dtype="int64")

    def read(self, name, index, out=None):
        """Return the rows of sorted local ids, written into `out` if it is given.

        Those of a slice are not copied.
        """
        if isinstance(index, slice):
            return self.arrays[name][index]
        found = nd.take(self.arrays[name], self._index(index), axis=0)
        if out is None:
            return found
        found.copyto(out)
        return out

    @staticmethod
    def compiled():
        """Return None: the rows are not in memory that a CPU reads."""

    def write(self, name, index, rows):
        """Write the rows of sorted local ids. Those that `read` gave of a slice are in place."""
        if isinstance(index, slice):
            return
        array, where = self.arrays[name], nd.expand_dims(self._index(index), axis=0)
        nd._internal._scatter_set_nd(
            lhs=array, rhs=rows, indices=where, shape=array.shape, out=array
        )

    def blocks(self, count, width):
        """Yield one slice: a GPU works on all rows at once."""
        if count:
            yield slice(0, count)

    def buffer(self, rows, width):
        """Return a buffer (rows, width)."""
        return nd.empty((rows, width), ctx=self.ctx)

    def expect(self, names, index):
        """Do nothing: the rows are there."""

    def release(self, array, user=None):
        """Do nothing: MXNet keeps the memory for the next step."""

    def to_step(self, rows):
        """Return `rows`."""
        return rows

    from_step = to_step

    def wrap(self, values):
        """Return a NumPy array as this store's kind of array."""
        return nd.array(values, ctx=self.ctx)

    sqrt = staticmethod(nd.sqrt)

    def zeros(self, shape):
        """Return zeros as this store's kind of array."""
        return nd.zeros(shape, ctx=self.ctx)

    @staticmethod
    def row_dot(a, b):
        """Return the inner products of the rows of two matrices, (m, 1)."""
        return nd.sum(a * b, axis=1, keepdims=True)
