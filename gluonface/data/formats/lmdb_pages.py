"""LMDB files, read page by page: where each value lies.

The library itself trusts its files: a changed byte in a page, or a file that was cut short, makes
it read outside its memory map, which ends the process. Everything is checked here. The places of
all values are read at once, and then a value is one read at a position.
"""

from __future__ import annotations

import contextlib
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
_LEAST_ENTRY = 10  # bytes in a page: its place, its head
_AT_ONCE = 256  # leaf pages that are parsed at once
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
        leaves = list(self._leaf_numbers(root, depth)) if root != _NO_ROOT else []
        if entries > len(leaves) * (self._size // _LEAST_ENTRY):
            raise self._damaged(f"{entries} entries are counted in {len(leaves)} pages")
        self.keys = np.zeros(entries, "S1")
        self.offsets = np.zeros(entries, np.int64)
        self.sizes = np.zeros(entries, np.uint32)
        count = 0
        for start in range(0, len(leaves), _AT_ONCE):
            keys, offsets, sizes = self._entries(leaves[start : start + _AT_ONCE])
            end = count + len(keys)
            if end <= entries:
                if keys.dtype.itemsize > self.keys.dtype.itemsize:
                    self.keys = self.keys.astype(keys.dtype)
                self.keys[count:end] = keys
                self.offsets[count:end], self.sizes[count:end] = offsets, sizes
            count = end
        if count != entries or (self.keys[1:] <= self.keys[:-1]).any():
            raise self._damaged(f"it has {count} entries, {entries} in order are expected")

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

    def _leaf_numbers(self, root, depth):
        """Yield the numbers of the leaf pages, in order."""
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
                yield number
                continue
            data, places = self._page(number, _BRANCH)
            fields = _u16(data, places, 3)
            below = fields[:, 0] | fields[:, 1] << 16 | fields[:, 2] << 32
            waiting += [(int(one), level + 1) for one in below[::-1]]

    def _entries(self, numbers):
        """Return keys, offsets and sizes of the entries in leaf pages."""
        pages = [self._page(number, _LEAF) for number in numbers]
        data = np.concatenate([page for page, _ in pages])
        counts = [len(places) for _, places in pages]
        page = np.repeat(np.arange(len(pages), dtype=np.int64), counts)
        places = np.concatenate([places for _, places in pages])
        ends_of_page = (page + 1) * self._size
        at = page * self._size + places
        fields = _u16(data, at, 4)
        sizes = fields[:, 0] | fields[:, 1] << 16
        flags, lengths = fields[:, 2], fields[:, 3]
        if (flags & (_SUB | _DUPLICATES)).any():
            raise InputError(
                f"{self.path} is an LMDB database of databases, or with several values under a "
                "key; one with __keys__ and an image under each key was expected"
            )
        if (lengths == 0).any() or (lengths > KEY).any():
            raise self._damaged("an entry has no key")
        big = (flags & _BIG) > 0
        starts = at + 8 + lengths
        if (starts + np.where(big, 8, sizes) > ends_of_page).any():
            raise self._damaged("an entry ends outside its page")
        columns = np.arange(lengths.max(initial=1))
        text = data[np.minimum(at[:, None] + 8 + columns, len(data) - 1)]
        text[columns >= lengths[:, None]] = 0
        keys = text.view(f"S{len(columns)}").ravel()
        offsets = np.array(numbers, np.int64)[page] * self._size + starts - page * self._size
        if big.any():
            named = np.ascontiguousarray(data[starts[big][:, None] + np.arange(8)])
            pages_of = named.view("<i8").ravel()
            if (pages_of < 2).any() or (pages_of >= self._pages).any():
                raise self._damaged("an entry names a page that is not there")
            offsets[big] = pages_of * self._size + _PAGE_HEAD
            if (offsets[big] + sizes[big] > self._pages * self._size).any():
                raise self._damaged("a value ends outside the file")
        return keys, offsets, sizes

    def find(self, key: bytes) -> int | None:
        """Return the position of a key, None if there is none."""
        at = int(np.searchsorted(self.keys, np.array(key, self.keys.dtype)))
        return at if at < len(self.keys) and self.keys[at] == key else None

    def value(self, position: int) -> bytes:
        """Return a value."""
        return self.file.read(int(self.offsets[position]), int(self.sizes[position]))

    @contextlib.contextmanager
    def bytes_at(self) -> typing.Iterator[typing.Callable[[np.ndarray, int], np.ndarray]]:
        """Within this context, call what it gives with places and a count.

        It returns uint8 (n, count), the bytes at each place of the file; zeros beyond its end.
        """
        with (
            open(self.path, "rb") as file,
            mmap.mmap(file.fileno(), self.file.size, access=mmap.ACCESS_READ) as mapped,
        ):
            held = [np.frombuffer(mapped, np.uint8)]  # emptied before the map is closed

            def read(places, count):
                data = held[0]
                at = places[:, None] + np.arange(count)
                found = data[np.minimum(at, len(data) - 1)]
                found[at >= len(data)] = 0
                mapped.madvise(mmap.MADV_DONTNEED)  # or the whole file counts as used memory
                return found

            try:
                yield read
            finally:
                held.clear()


def _u16(data, places, count):
    """Return int64 (n, count): the 16-bit words at places in a page."""
    at = places[:, None] + np.arange(2 * count)
    words = np.ascontiguousarray(data[at]).view("<u2").reshape(len(places), count)
    return words.astype(np.int64)
