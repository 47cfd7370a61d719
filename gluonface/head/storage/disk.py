"""The rows of the class centres and of their momentum in files, for more than there is memory."""

import contextlib
import mmap
import os
import pathlib
import weakref

import numpy as np

from ...errors import InputError
from ..memory_estimate import MAPPED
from .host import HostStore

__all__ = ["DiskStore"]

PAGE = mmap.PAGESIZE


class DiskStore(HostStore):
    """Rows in memory-mapped files.

    A class's centre and optimizer state are stored side by side: a page of the disk holds few rows,
    and one row in a hundred is in a step, so a step reads one page for each row instead of two or
    three.

    The files are working space, not a checkpoint. Where the system allows it they are unlinked once
    they are open, so that none is left behind however the process ends. A file is made at the
    first use of its rows, with all arrays that were added until then.
    """

    BUDGET = MAPPED
    AROUND = 1 << 16  # bytes that the system maps around a page in its cache

    def __init__(self, classes, ctx, path, label):
        super().__init__(classes, ctx)
        if path is None:
            raise InputError("centers='disk' needs centers_path, a folder on a fast disk")
        self.path, self.label = pathlib.Path(path), label
        self._planned = []
        self._files, self._items, self._bytes = [], {}, 0
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"centers_path={path}: {error}; give a folder to write to") from error

    @property
    def arrays(self):
        """All arrays by their names; makes the files of those that have none yet."""
        if self._planned:
            planned, self._planned = self._planned, []
            self._make([each for each in planned if each[1] is not None])
            for each in planned:
                if each[1] is None:
                    super().add(*each)
                elif each[2] is not None:
                    self.fill(each[0], each[2], each[3])
        return self._arrays

    @arrays.setter
    def arrays(self, value):
        self._arrays = value

    def add(self, name, width=None, fill=None, start=0):
        """As of `HostStore`; arrays that are added before any is used share a file."""
        self._planned.append((name, width, fill, start))

    def ready(self):
        """Make the files."""
        _ = self.arrays

    def _make(self, planned):
        """Make a file of the arrays (name, width, ...): a record for each class."""
        record = sum(width for _, width, *_ in planned)
        if not record or not self.classes:
            for name, width, *_ in planned:
                self._arrays[name] = self.allocate((self.classes, width))
            return
        mapped, file = self._map("+".join(name for name, *_ in planned), 4 * self.classes * record)
        whole = np.frombuffer(mapped, np.float32).reshape(self.classes, record)
        first = 0
        for name, width, *_ in planned:
            self._arrays[name] = whole[:, first : first + width]
            item = np.dtype(
                {
                    "names": ["row"],
                    "formats": [f"V{4 * width}"],
                    "offsets": [4 * first],
                    "itemsize": 4 * record,
                }
            )
            self._items[name] = whole.view(item)["row"][:, 0]
            first += width
        self._files.append((mapped, file, 4 * record, {name for name, *_ in planned}))

    def _map(self, name, size):
        path = self.path / f".{self.label}-{name}-{os.getpid()}.scratch"
        try:
            file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600), "r+b")
            weakref.finalize(self, file.close)  # else Python closes it with a warning
            try:
                os.posix_fallocate(file.fileno(), 0, size)  # raises here if the disk is full
                mapped = mmap.mmap(file.fileno(), size)
            finally:
                with contextlib.suppress(OSError):
                    os.unlink(path)
        except OSError as error:
            raise InputError(
                f"centers_path={self.path} cannot take {size / 2**30:.1f} GiB of {name}: "
                f"{error.strerror}. Give a folder on a disk with room for weight and momentum."
            ) from error
        # One row in a hundred is read: reading ahead would waste disk and memory.
        mapped.madvise(mmap.MADV_RANDOM)
        return mapped, file

    at_once = False  # `touch` has to be called between the blocks

    def touch(self, index):
        """As of `HostStore`."""
        if len(index):
            self._limit_mapped(index[-1] - index[0] + 1, len(index))

    def put(self, name, first, rows):
        """Write the rows from `first` on."""
        self._limit_mapped(len(rows), len(rows))
        super().put(name, first, rows)

    def _limit_mapped(self, span, rows):
        """Unmap all pages if too many are mapped, before `rows` of a span of rows are used.

        Not afterwards, because a block that was read is written next. The file keeps its content.
        """
        record = max((row for _, _, row, _ in self._files), default=0)
        self._bytes += min(span * record, rows * max(self.AROUND, record))
        if self._bytes > self.BUDGET:
            self._bytes = 0
            for mapped, *_ in self._files:
                mapped.madvise(mmap.MADV_DONTNEED)

    def read(self, name, index, out=None):
        """Return the rows of sorted local ids, written into `out` if it is given."""
        array = self.arrays[name]
        if name not in self._items:
            return super().read(name, index, out)
        self.touch(index)
        found = self._items[name][index].view(np.float32).reshape(len(index), array.shape[1])
        if out is None:
            return found
        out[...] = found
        return out

    def write(self, name, index, rows):
        """Write the rows of sorted local ids."""
        array = self.arrays[name]
        if name not in self._items:
            super().write(name, index, rows)
            return
        item = self._items[name].dtype
        self._items[name][index] = np.ascontiguousarray(rows, array.dtype).view(item)[:, 0]

    def expect(self, names, index):
        """Prefetch the pages of the rows, many at a time: a page fault waits for one page alone."""
        self.ready()
        if not len(index) or 4 * len(index) > self.classes:  # nearly every page is read anyway
            return
        for _, file, row, held in self._files:
            if held.isdisjoint(names):
                continue
            first, last = index * row // PAGE, ((index + 1) * row - 1) // PAGE + 1
            fresh = np.flatnonzero(first[1:] > last[:-1]) + 1  # others continue a range
            starts = np.concatenate([first[:1], first[fresh]]) * PAGE
            ends = np.concatenate([last[fresh - 1], last[-1:]]) * PAGE
            for start, size in zip(starts.tolist(), (ends - starts).tolist()):
                # Like madvise of the mapping, but without blocking other threads.
                os.posix_fadvise(file.fileno(), start, size, os.POSIX_FADV_WILLNEED)
