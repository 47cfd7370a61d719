"""Where the rows of the class centres and of their momentum live: host memory, disk, or a GPU."""

import contextlib
import mmap
import os
import pathlib

import numpy as np

from .._compat import mx
from ..errors import InputError
from ._operators import host, shared
from .centers import BLOCK

__all__ = ["PLACES", "DeviceStore", "DiskStore", "HostStore", "make_store"]

nd = mx.nd
PLACES = ("memory", "host", "disk")
CACHED = 1 << 16  # numbers of a block of rows; several blocks at a time stay in the cache
HUGE = 1 << 21
PAGE = mmap.PAGESIZE


def make_store(place, ctx, classes, path=None, label="head"):
    """Return the store of a number of classes for one of `PLACES`."""
    if place == "disk":
        return DiskStore(classes, ctx, path, label)
    if place == "memory" and ctx.device_type != "cpu":
        return DeviceStore(classes, ctx)
    return HostStore(classes, ctx)


class HostStore:
    """Rows in the memory of this process, as NumPy arrays, whatever the device of the step."""

    def __init__(self, classes, ctx):
        self.classes, self.ctx, self.arrays = classes, ctx, {}
        self._free = []  # (buffer, the NDArray it was last used by) of former steps
        self._used = {}  # address -> buffer

    def allocate(self, name, shape, dtype=np.float32):
        """Return an array of zeros."""
        array = np.empty(shape, dtype)
        array[:] = 0  # takes its memory now, not in the midst of training
        return array

    def add(self, name, width=None, fill=None, start=0):
        """Make the array `name`, (classes, width) or (classes,), of zeros or by ``fill(a, b)``.

        `start` is the global id of the first class: the blocks asked for end where those of
        `initial_centers` do, so that none is drawn twice.
        """
        shape = (self.classes,) if width is None else (self.classes, width)
        array = self.arrays[name] = self.allocate(name, shape)
        if fill is not None:
            for first in range(-(start % BLOCK), self.classes, BLOCK):
                first, last = max(0, first), min(self.classes, first + BLOCK)
                self.put(name, first, fill(first, last))
        return array

    def put(self, name, first, rows):
        """Write the rows from `first` on."""
        self.arrays[name][first : first + len(rows)] = rows
        self.touched(rows)

    def slab(self, name, first, last):
        """Return the rows of a range as NumPy, the store's own memory where it can be had."""
        return self.arrays[name][first:last]

    def export(self, name):
        """Return an array-like of all rows."""
        return self.arrays[name]

    def read(self, name, index, out=None):
        """Return the rows of sorted local ids, written into `out` if it is given."""
        found = np.take(self.arrays[name], index, axis=0, out=out, mode="clip")
        self.touched(found)
        return found

    def write(self, name, index, rows):
        """Write the rows of sorted local ids."""
        array = self.arrays[name]
        if array.ndim == 1 or not array.size:
            array[index] = rows
        else:  # a row as one item: twice as fast as assigning to array[index]
            item = np.dtype((np.void, array.strides[0]))
            np.put(array.view(item), index, np.ascontiguousarray(rows).view(item), mode="clip")
        self.touched(rows)

    def touched(self, rows):
        """Take note that these rows have been read or written."""

    def expect(self, names, index):
        """Take note that the rows of sorted local ids will be read soon."""

    def blocks(self, count, width):
        """Yield slices of `count` rows that are worked on one at a time."""
        step = max(1, CACHED // width)
        for first in range(0, count, step):
            yield slice(first, min(count, first + step))

    def buffer(self, rows, width):
        """Return room for rows, one that `release` gave back if there is a fitting one."""
        for i, (room, user) in enumerate(self._free):
            if room.shape[1] == width and len(room) >= rows:
                del self._free[i]
                if user is not None:
                    host(user)  # the engine may still read it
                break
        else:
            self._free = [entry for entry in self._free if entry[0].shape[1] != width]
            # Room for a few more: the number of sampled classes varies by some per cent.
            room = _aligned(rows + rows // 64 + 16, width)
        self._used[room.ctypes.data] = room
        return room[:rows]

    def release(self, array, user=None):
        """Give back what `buffer` gave; `user` is an NDArray of the same memory."""
        room = self._used.pop(array.ctypes.data, None)
        if room is not None:
            self._free.append((room, user))

    def to_step(self, rows):
        """Return rows as an NDArray on the step's device, of the same memory if it can be."""
        if self.ctx.device_type == "cpu":
            return shared(rows)
        return nd.array(rows, ctx=self.ctx)

    def from_step(self, array):
        """Return an NDArray of the step as this store's kind of array."""
        return host(array) if self.ctx.device_type == "cpu" else array.asnumpy()

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


class DiskStore(HostStore):
    """Rows in memory-mapped files, for more classes than there is memory.

    The files are working space, not a checkpoint: they are made anew and, where the system
    allows it, have no name any more once they are open, so that nothing is left behind however
    the process ends, and nothing half-written can be taken for whole.
    """

    BUDGET = 1 << 29  # bytes of pages touched until the mapping is told to let go of them
    AROUND = 1 << 16  # what the system maps around a page that is touched, if it has it at hand

    def __init__(self, classes, ctx, path, label):
        super().__init__(classes, ctx)
        if path is None:
            raise InputError("centers='disk' needs centers_path, a folder on a fast disk")
        self.path, self.label = pathlib.Path(path), label
        self._maps, self._bytes = {}, 0  # the maps by the name of their array
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"centers_path={path}: {error}; give a folder to write to") from error

    def allocate(self, name, shape, dtype=np.float32):
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        if len(shape) == 1 or not size:  # one number for each class
            return super().allocate(name, shape, dtype)
        path = self.path / f".{self.label}-{name}-{os.getpid()}.scratch"
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
            try:
                os.posix_fallocate(handle, 0, size)  # a full disk is met here, not at a write
                mapped = mmap.mmap(handle, size)
            finally:
                os.close(handle)
                with contextlib.suppress(OSError):
                    os.unlink(path)
        except OSError as error:
            raise InputError(
                f"centers_path={self.path} cannot take {size / 2**30:.1f} GiB of {name}: "
                f"{error.strerror}. Give a folder on a disk with room for weight and momentum."
            ) from error
        # One row in a hundred is read: what lies between would only wear out disk and memory.
        mapped.madvise(mmap.MADV_RANDOM)
        self._maps[name] = mapped
        return np.frombuffer(mapped, dtype).reshape(shape)

    def expect(self, names, index):
        if 4 * len(index) > self.classes:  # nearly every page: nothing to be chosen
            return
        for name in names:
            mapped = self._maps.get(name)
            if mapped is None:
                continue
            # The disk then works on many pages at a time; a page that is met by surprise is waited
            # for on its own.
            row = self.arrays[name].strides[0]
            first, last = index * row // PAGE, ((index + 1) * row - 1) // PAGE + 1
            fresh = np.flatnonzero(first[1:] > last[:-1]) + 1  # the others go on where one ended
            starts = np.concatenate([first[:1], first[fresh]]) * PAGE
            ends = np.concatenate([last[fresh - 1], last[-1:]]) * PAGE
            for start, size in zip(starts.tolist(), (ends - starts).tolist()):
                mapped.madvise(mmap.MADV_WILLNEED, start, size)

    def touched(self, rows):
        if rows.ndim == 2:
            self._bytes += len(rows) * max(self.AROUND, 4 * rows.shape[1])
        if self._bytes > self.BUDGET:
            self._bytes = 0
            for mapped in self._maps.values():  # frees memory; the file keeps what was written
                mapped.madvise(mmap.MADV_DONTNEED)


class DeviceStore:
    """Rows in the memory of a GPU, as NDArrays."""

    def __init__(self, classes, ctx):
        self.classes, self.ctx, self.arrays = classes, ctx, {}

    add = HostStore.add

    def allocate(self, name, shape, dtype=np.float32):
        """Return an array of zeros."""
        return nd.zeros(shape, ctx=self.ctx, dtype=dtype)

    def put(self, name, first, rows):
        """Write the rows from `first` on."""
        self.arrays[name][first : first + len(rows)] = nd.array(rows, ctx=self.ctx)

    def slab(self, name, first, last):
        """Return the rows of a range as NumPy."""
        return self.arrays[name][first:last].asnumpy()

    def export(self, name):
        """Return an array-like of all rows."""
        return self.arrays[name].asnumpy()

    def _index(self, index):
        return nd.array(index, ctx=self.ctx, dtype="int64")

    def read(self, name, index, out=None):
        """Return the rows of sorted local ids, written into `out` if it is given."""
        found = nd.take(self.arrays[name], self._index(index), axis=0)
        if out is None:
            return found
        found.copyto(out)
        return out

    def write(self, name, index, rows):
        """Write the rows of sorted local ids."""
        array, where = self.arrays[name], nd.expand_dims(self._index(index), axis=0)
        nd._internal._scatter_set_nd(
            lhs=array, rhs=rows, indices=where, shape=array.shape, out=array
        )

    def blocks(self, count, width):
        """Yield one slice: a GPU works on all rows at once."""
        if count:
            yield slice(0, count)

    def buffer(self, rows, width):
        """Return room for rows."""
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


def _aligned(rows, width):
    """Return an empty matrix whose memory begins where large pages do."""
    size = max(1, rows * width)
    whole = np.empty(size + HUGE // 4, np.float32)
    skip = -whole.ctypes.data % (HUGE if size * 4 > 4 * HUGE else 64) // 4
    return whole[skip : skip + rows * width].reshape(rows, width)
