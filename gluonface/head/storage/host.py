"""The rows of the class centres and of their momentum in the memory of this process."""

import numpy as np

from ..._compat import mx
from ..array_operations import as_ndarray, as_numpy
from ..initial_centers import BLOCK
from .class_rows import compiled_rows

__all__ = ["HostStore"]

nd = mx.nd
CACHED = 1 << 16  # numbers of a block of rows; several blocks at a time stay in the cache
HUGE = 1 << 21


class HostStore:
    """Rows in the memory of this process, as NumPy arrays, whatever the device of the step."""

    def __init__(self, classes, ctx):
        self.classes, self.ctx, self.arrays = classes, ctx, {}
        self._free = []  # (buffer, the NDArray it was last used by) of former steps
        self._used = {}  # address -> buffer

    @staticmethod
    def allocate(shape):
        """Return an array of zeros."""
        array = np.empty(shape, np.float32)
        array[:] = 0  # allocated now, not during training
        return array

    def add(self, name, width=None, fill=None, start=0):
        """Make the array `name`, (classes, width) or (classes,), of zeros or by ``fill(a, b)``.

        `start` is the global id of the first class: the blocks asked for end where those of
        `initial_centers` do, so that none is drawn twice.
        """
        self.arrays[name] = self.allocate(
            (self.classes,) if width is None else (self.classes, width)
        )
        if fill is not None:
            self.fill(name, fill, start)

    def fill(self, name, fill, start):
        """Write what ``fill(a, b)`` gives into all rows, see `add`."""
        for first in range(-(start % BLOCK), self.classes, BLOCK):
            first, last = max(0, first), min(self.classes, first + BLOCK)
            self.put(name, first, fill(first, last))

    def ready(self):
        """End the calls of `add`: make what they declared."""

    def put(self, name, first, rows):
        """Write the rows from `first` on."""
        self.arrays[name][first : first + len(rows)] = rows

    def export(self, name):
        """Return all rows, as an array-like."""
        return self.arrays[name]

    def read(self, name, index, out=None):
        """Return the rows of sorted local ids, written into `out` if it is given.

        Those of a slice are not copied.
        """
        if isinstance(index, slice):
            return self.arrays[name][index]
        return np.take(self.arrays[name], index, axis=0, out=out, mode="clip")

    at_once = True  # whether rows need not be worked on in blocks

    @staticmethod
    def compiled():
        """Return the `CompiledRows` that can read and update the rows of `arrays`, or None."""
        return compiled_rows()

    def touch(self, index):
        """Take note that rows of sorted local ids are read or written next. Nothing to do here."""

    def write(self, name, index, rows):
        """Write the rows of sorted local ids. Those that `read` gave of a slice are in place."""
        array = self.arrays[name]
        if isinstance(index, slice):
            if rows.base is not array:
                array[index] = rows
            return
        if array.ndim == 1 or not array.size:
            array[index] = rows
        else:  # a row as one item: twice as fast as assigning to array[index]
            item = np.dtype((np.void, array.strides[0]))
            np.put(array.view(item), index, np.ascontiguousarray(rows).view(item), mode="clip")

    def expect(self, names, index):
        """Prefetch the rows of sorted local ids, which will be read soon. Nothing to do here."""

    def blocks(self, count, width, numbers=CACHED):
        """Yield slices of `count` rows that are worked on one at a time, some `numbers` each."""
        step = max(1, numbers // width)
        for first in range(0, count, step):
            yield slice(first, min(count, first + step))

    def buffer(self, rows, width):
        """Return a buffer (rows, width), one of those that were released if it is large enough."""
        for i, (room, user) in enumerate(self._free):
            if room.shape[1] == width and len(room) >= rows:
                del self._free[i]
                if user is not None:
                    as_numpy(user)  # the engine may still read it
                break
        else:
            self._free = [entry for entry in self._free if entry[0].shape[1] != width]
            # A few rows more: the number of sampled classes varies by some per cent.
            room = _aligned(rows + rows // 64 + 16, width)
        self._used[room.ctypes.data] = room
        return room[:rows]

    def release(self, array, user=None):
        """Return a buffer for reuse; `user` is an NDArray of the same memory."""
        room = self._used.pop(array.ctypes.data, None)
        if room is not None:
            self._free.append((room, user))

    def to_step(self, rows):
        """Return rows as an NDArray on the step's device, of the same memory if it can be."""
        if self.ctx.device_type == "cpu":
            return as_ndarray(rows)
        return nd.array(rows, ctx=self.ctx)

    def from_step(self, array):
        """Return an NDArray of the step as this store's kind of array."""
        return as_numpy(array) if self.ctx.device_type == "cpu" else array.asnumpy()

    def wrap(self, values):
        """Return a NumPy array as this store's kind of array."""
        return values

    sqrt = staticmethod(np.sqrt)

    @staticmethod
    def zeros(shape):
        """Return zeros as this store's kind of array."""
        return np.zeros(shape, np.float32)

    @staticmethod
    def row_dot(a, b):
        """Return the inner products of the rows of two matrices, (m, 1)."""
        return np.einsum("ij,ij->i", a, b)[:, None]


def _aligned(rows, width):
    """Return an empty matrix whose memory begins where large pages do."""
    size = max(1, rows * width)
    whole = np.empty(size + HUGE // 4, np.float32)
    skip = -whole.ctypes.data % (HUGE if size * 4 > 4 * HUGE else 64) // 4
    return whole[skip : skip + rows * width].reshape(rows, width)
