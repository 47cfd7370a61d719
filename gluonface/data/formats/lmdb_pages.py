"""LMDB files, read page by page: where each value lies.

The library itself trusts its files: a changed byte in a page, or a file that was cut short, makes
it read outside its memory map, which ends the process. Everything is checked here. The places of
all values are read at once, and then a value is one read at a position.
"""

from __future__ import annotations

import mmap
import pathlib
import struct
import typing

import numpy as np

from ...errors import DataError, InputError
from ...files import StrPath
from .positioned_file import PositionedFile

__all__ = ["LmdbPages"]

MAGIC, VERSION = 0xBEEFC0DE, 1
_PAGE_HEAD = 16
_META = struct.Struct("<IIQQ48s48sQQ")  # magic, version, address, map size, free, main, last, txn
_DATABASE = struct.Struct(
    "<IHHQQQQQ"
)  # page size, flags, depth, branch, leaf, overflow, entries, root
_BRANCH, _LEAF, _OVERFLOW = 1, 2, 4
_BIG, _SUB, _DUPLICATES = 1, 2, 4  # flags of a node
_NO_ROOT = (1 << 64) - 1
KEY = 511  # bytes of a key at most, as LMDB is compiled everywhere


class LmdbPages:
    """The entries of the main database in an LMDB file.

    Parameters
    ----------
    path : str or pathlib.Path
        The file, or a folder with ``data.mdb``.

    Attributes
    ----------
    keys : numpy.ndarray
        Bytes (n,), sorted.
    offsets, sizes : numpy.ndarray
        int64 (n,), the place of each value in the file.

    Raises
    ------
    InputError
        When it cannot be read.
    DataError
        When it is of another version, was cut short or is damaged.
    """

    def __init__(self, path: StrPath):
        path = pathlib.Path(path)
        self.path = path / "data.mdb" if path.is_dir() else path
        self.file = PositionedFile(self.path)
        self._size, self._pages, depth, entries, root = self._meta()
        blocks = list(self._leaves(root, depth)) if root != _NO_ROOT else []
        width = max([block[0].dtype.itemsize for block in blocks], default=1)
        self.keys = np.concatenate(
            [b[0].astype(f"S{width}") for b in blocks] or [np.empty(0, "S1")]
        )
        self.offsets = np.concatenate([b[1] for b in blocks] or [np.empty(0, np.int64)])
        self.sizes = np.concatenate([b[2] for b in blocks] or [np.empty(0, np.int64)])
        if len(self.keys) != entries or (self.keys[1:] <= self.keys[:-1]).any():
            raise self._damaged(f"it has {len(self.keys)} entries in order, {entries} are counted")

    def __len__(self):
        return len(self.keys)

    def _damaged(self, what):
        return DataError(f"{self.path} is a damaged LMDB database: {what}; fetch or write it again")

    def _meta(self):
        """Return page size, number of pages, and depth, entries and root of the main database."""
        best = None
        start = 0
        for _ in range(2):
            if start + _PAGE_HEAD + _META.size > self.file.size:
                break
            data = self.file.read(start + _PAGE_HEAD, _META.size)
            magic, version, _, _, free, main, last, number = _META.unpack(data)
            if magic == MAGIC and version != VERSION:
                raise DataError(
                    f"{self.path} is an LMDB database of version {version}; version {VERSION} "
                    "(LMDB 0.9) was expected: copy it with mdb_dump and mdb_load of that version"
                )
            page = _DATABASE.unpack(free)[0]
            if magic != MAGIC or page not in (1 << n for n in range(9, 17)):
                break
            if best is None or number > best[0]:
                best = number, page, last, main
            start = page
        if best is None:
            raise self._damaged("its first page is no meta page")
        _, size, last, main = best
        if (last + 1) * size > self.file.size:
            raise DataError(
                f"{self.path} is an LMDB database that was cut short: it has {self.file.size:,} "
                f"bytes of {(last + 1) * size:,}; fetch or write it again"
            )
        _, _, depth, _, _, _, entries, root = _DATABASE.unpack(main)
        return size, last + 1, depth, entries, root

    def _page(self, number, kind):
        """Return the bytes of a page of a kind, and the places of its nodes."""
        if not 2 <= number < self._pages:
            raise self._damaged(f"page {number} of {self._pages} is asked for")
        data = np.frombuffer(self.file.read(number * self._size, self._size), np.uint8)
        stored, _, flags, lower, upper = struct.unpack_from("<QHHHH", data)
        fits = _PAGE_HEAD <= lower <= upper <= self._size and lower % 2 == 0
        if stored != number or flags & 0x2F != kind or not fits:
            raise self._damaged(f"page {number} is of another kind")
        places = np.frombuffer(data, "<u2", (lower - _PAGE_HEAD) // 2, _PAGE_HEAD).astype(np.int64)
        if len(places) and (places.min() < upper or places.max() + 8 > self._size):
            raise self._damaged(f"page {number} has an entry outside")
        return data, places

    def _leaves(self, root, depth):
        """Yield keys, offsets and sizes of each leaf page, in order."""
        if not 1 <= depth <= 64:
            raise self._damaged(f"a tree of {depth} levels")
        seen = 0
        waiting = [(root, 1)]
        while waiting:
            number, level = waiting.pop()
            seen += 1
            if seen > self._pages:
                raise self._damaged("its pages lead back to themselves")
            if level == depth:
                yield self._leaf(number)
                continue
            data, places = self._page(number, _BRANCH)
            fields = _u16(data, places, 3)
            below = fields[:, 0] | fields[:, 1] << 16 | fields[:, 2] << 32
            waiting += [(int(one), level + 1) for one in below[::-1]]

    def _leaf(self, number):
        data, places = self._page(number, _LEAF)
        fields = _u16(data, places, 4)
        sizes = fields[:, 0] | fields[:, 1] << 16
        flags, lengths = fields[:, 2], fields[:, 3]
        if (flags & (_SUB | _DUPLICATES)).any():
            raise InputError(
                f"{self.path} is an LMDB database of databases, or with several values under a "
                "key; one with __keys__ and an image under each key was expected"
            )
        if (lengths == 0).any() or (lengths > KEY).any():
            raise self._damaged(f"page {number} has an entry without a key")
        big = (flags & _BIG) > 0
        starts = places + 8 + lengths
        ends = starts + np.where(big, 8, sizes)
        if (ends > self._size).any():
            raise self._damaged(f"page {number} has an entry outside")
        columns = np.arange(lengths.max(initial=1))
        at = np.minimum(places[:, None] + 8 + columns, self._size - 1)
        text = np.where(columns < lengths[:, None], data[at], 0).astype(np.uint8)
        keys = np.ascontiguousarray(text).view(f"S{len(columns)}").ravel()
        offsets = number * self._size + starts
        if big.any():
            at = starts[big][:, None] + np.arange(8)
            pages = np.ascontiguousarray(data[at]).view("<i8").ravel()
            last = self._pages * self._size - _PAGE_HEAD
            if (pages < 2).any() or (pages >= self._pages).any():
                raise self._damaged(f"page {number} names a page that is not there")
            offsets[big] = pages * self._size + _PAGE_HEAD
            if (offsets[big] - _PAGE_HEAD + sizes[big] > last).any():
                raise self._damaged(f"page {number} has a value that ends outside")
        return keys, offsets, sizes

    def find(self, key: bytes) -> int | None:
        """Return the position of a key, None if there is none."""
        at = int(np.searchsorted(self.keys, np.array(key, self.keys.dtype)))
        return at if at < len(self.keys) and self.keys[at] == key else None

    def value(self, position: int) -> bytes:
        """Return a value."""
        return self.file.read(int(self.offsets[position]), int(self.sizes[position]))

    def gather(self, places: np.ndarray, count: int, step: int = 1 << 12) -> typing.Iterator:
        """Yield (slice, uint8 (k, count)): the bytes at many places; zeros beyond the file."""
        with (
            open(self.path, "rb") as file,
            mmap.mmap(file.fileno(), self.file.size, access=mmap.ACCESS_READ) as mapped,
        ):
            data = np.frombuffer(mapped, np.uint8)
            columns = np.arange(count)
            for start in range(0, len(places), step):
                rows = slice(start, start + step)
                at = places[rows, None] + columns
                found = data[np.minimum(at, len(data) - 1)]
                found[at >= len(data)] = 0
                yield rows, found
                mapped.madvise(mmap.MADV_DONTNEED)  # or the whole file counts as used memory
            del data


def _u16(data, places, count):
    """Return int64 (n, count): the 16-bit words at places in a page."""
    at = places[:, None] + np.arange(2 * count)
    words = np.ascontiguousarray(data[at]).view("<u2").reshape(len(places), count)
    return words.astype(np.int64)
