"""A .rec file with its index, open for reading records from any number of threads."""

from __future__ import annotations

import os
import pathlib
import weakref

import numpy as np

from ...errors import DataError, InputError
from ...files import StrPath, require_no_stand_in
from .index import how_to_rebuild, read_index
from .record import FRAME, LENGTH, MAGIC, MAGIC_BYTES

__all__ = ["RecordFile", "find_rec"]

_READ = 1 << 18  # bytes of a record that are read at once; more only when it is longer


def find_rec(path: StrPath) -> pathlib.Path:
    """Return `path` itself if it names a .rec file, or the .rec file in the folder `path`.

    Raises
    ------
    InputError
        When there is none, or several.
    """
    path = pathlib.Path(path)
    if path.suffix == ".rec":
        return path
    if path.is_file():
        raise InputError(
            f"{path} is no .rec file; a .rec file or a folder with one was expected. "
            f"`gluonface data pack {path} OUT` makes one of lists, archives and tables"
        )
    if not path.is_dir():
        raise InputError(f"{path} is not there; a .rec file or a folder with one was expected")
    if (path / "train.rec").exists():
        return path / "train.rec"
    found = sorted(path.glob("*.rec"))
    if len(found) == 1:
        return found[0]
    names = ", ".join(rec.name for rec in found[:5])
    raise InputError(
        f"{path} has {'no .rec file' if not found else f'several .rec files ({names})'}; "
        "a folder with train.rec or a path of one .rec file was expected"
        + ("" if found else f". `gluonface data pack {path} OUT` makes one of images in folders")
    )


class RecordFile:
    """A .rec file and its index, open for reading from any number of threads.

    Records are read with `os.pread`: threads and forked processes share no file position, and a
    disk error raises an exception (with a memory map it would kill the process).

    Parameters
    ----------
    path : str or pathlib.Path
        The .rec file; its index has the same stem and the suffix .idx.

    Attributes
    ----------
    keys : numpy.ndarray or None
        int64 (n,) in the order of the index; None means 0, 1, 2, ...
    offsets : numpy.ndarray
        int64 (n,), where each record starts.

    Raises
    ------
    InputError
        When there is no such file.
    DataError
        When the index is missing or does not fit the file.
    """

    def __init__(self, path: StrPath):
        self.path = pathlib.Path(path)
        self.index = self.path.with_suffix(".idx")
        try:
            self.size = self.path.stat().st_size
        except OSError as error:
            raise InputError(f"{self.path}: {error.strerror}; a .rec file was expected") from error
        if not self.index.is_file():
            raise DataError(
                f"{self.index} is missing; without it records cannot be found. "
                + how_to_rebuild(self.path)
            )
        for path in (self.path, self.index):
            require_no_stand_in(path)
        self.keys, self.offsets = read_index(self.index)
        self._check_index()
        self._open()

    def _check_index(self):
        remedy = how_to_rebuild(self.path)
        if not len(self.offsets):
            raise DataError(f"{self.index} is empty. {remedy}")
        low, high = int(self.offsets.min()), int(self.offsets.max())
        if low < 0 or high + FRAME.size > self.size:
            raise DataError(
                f"{self.index}: offset {low if low < 0 else high} is outside {self.path.name}, "
                f"which has {self.size} bytes: the .rec file was cut short or the index belongs to "
                f"another. Fetch both again, or: {remedy}"
            )
        self._order = None  # positions sorted by key; None while keys count up from 0
        if self.keys is not None:
            self._order = np.argsort(self.keys, kind="stable")
            repeated = _first_repeated(self.keys[self._order])
            if repeated is not None:
                raise DataError(
                    f"{self.index}: key {repeated} is there twice; each record has one. {remedy}"
                )
        self._ends = None  # where each record must have ended; None: where the next one starts
        if not _increasing(self.offsets):
            by_offset = np.argsort(self.offsets, kind="stable")
            starts = self.offsets[by_offset]
            repeated = _first_repeated(starts)
            if repeated is not None:
                raise DataError(
                    f"{self.index}: two keys have the offset {repeated}; each record has one. "
                    + remedy
                )
            self._ends = np.empty_like(starts)
            self._ends[by_offset] = np.append(starts[1:], self.size)

    def _open(self):
        self._file = os.open(self.path, os.O_RDONLY)
        self._closer = weakref.finalize(self, os.close, self._file)

    def __getstate__(self):
        state = dict(self.__dict__)
        del state["_file"], state["_closer"]
        return state

    def __setstate__(self, state):
        self.__dict__.update(state)
        self._open()

    def __len__(self):
        return len(self.offsets)

    def key(self, position):
        """Return the key of the record at a position of the index."""
        return int(position if self.keys is None else self.keys[position])

    def find(self, key):
        """Return the position of a key, or None when the index does not have it."""
        if self.keys is None:
            return key if 0 <= key < len(self) else None
        at = int(np.searchsorted(self.keys, key, sorter=self._order))
        if at == len(self) or self.keys[self._order[at]] != key:
            return None
        return int(self._order[at])

    def between(self, start, stop):
        """Return the positions of all keys from `start` up to `stop`, by key: range or int64."""
        if self.keys is None:
            return range(max(start, 0), min(stop, len(self)))
        low, high = np.searchsorted(self.keys, [start, stop], sorter=self._order)
        return self._order[low:high]

    def extent(self, position):
        """Return (start, end) of a record: it begins at `start` and must not reach past `end`."""
        start = int(self.offsets[position])
        if self._ends is not None:
            return start, int(self._ends[position])
        if position + 1 < len(self.offsets):
            return start, int(self.offsets[position + 1])
        return start, self.size

    def read_contiguous(self, positions, size):
        """Read records that follow each other in the file, each of `size` bytes with its frame.

        Returns
        -------
        numpy.ndarray or None
            uint8 (n, size); None when they do not follow each other or have other sizes.
        """
        if isinstance(positions, range):
            positions = slice(positions.start, positions.stop)
        offsets = self.offsets[positions]
        start, end = int(offsets[0]), int(offsets[-1]) + size
        if end > self.size or (np.diff(offsets) != size).any():
            return None
        return np.frombuffer(self._read(start, end - start, 0), np.uint8).reshape(-1, size)

    def payload(self, position, limit=None):
        """Return the payload of a record as bytes.

        Parameters
        ----------
        position : int
            Position in the index, 0 to n - 1.
        limit : int, optional
            Return, and read, at most so many bytes.

        Raises
        ------
        DataError
            When the record is damaged; names file, key and offset.
        """
        start, end = self.extent(position)
        wanted = end - start if limit is None else min(end - start, limit + FRAME.size)
        data = self._read(start, min(wanted, _READ), position)
        kind, length = self._frame(data, position, start)
        if start + FRAME.size + length > end:
            self._fail(
                position,
                start,
                f"says it has {length} bytes, of which {end - start - 8} "
                "are there before the next record or the end of the file",
            )
        if limit is not None:
            length = min(length, limit)
        if len(data) < FRAME.size + length:
            data = self._read(start, FRAME.size + length, position)
        if kind == 0 or (limit is not None and length == limit):
            return data[FRAME.size : FRAME.size + length]
        if kind != 1:
            self._fail(position, start, "is the middle of one that was cut in parts")
        return self._join(data[FRAME.size : FRAME.size + length], position, start, end)

    def _join(self, first, position, start, end):
        """Join the parts of a record; the magic number stood where they were cut."""
        parts = [first]
        at = start + FRAME.size + (len(first) + 3) // 4 * 4
        kind = 1
        while kind != 3:
            data = self._read(at, FRAME.size, position) if at + FRAME.size <= end else b""
            kind, length = self._frame(data, position, start)
            at += FRAME.size
            if kind not in (2, 3) or at + length > end:
                self._fail(position, start, "has parts that do not fit together")
            parts.append(self._read(at, length, position))
            at += (length + 3) // 4 * 4
        return MAGIC_BYTES.join(parts)

    def _frame(self, data, position, start):
        if len(data) < FRAME.size:
            self._fail(position, start, "is cut short")
        magic, word = FRAME.unpack_from(data)
        if magic != MAGIC:
            self._fail(
                position,
                start,
                f"starts with {data[:4]!r} and not with RecordIO's magic number {MAGIC_BYTES!r}",
            )
        return word >> 29, word & LENGTH

    def _read(self, start, length, position):
        try:
            data = os.pread(self._file, length, start)
        except OSError as error:
            self._fail(position, start, f"cannot be read: {error.strerror}")
        if len(data) < length:
            self._fail(position, start, f"is cut short: {length} bytes wanted, {len(data)} there")
        return data

    def _fail(self, position, start, what):
        raise DataError(
            f"{self.path}: record {self.key(position)} at byte {start} {what}. The file is damaged "
            "or the index is of another file: fetch or write both again"
        )


def _first_repeated(values):
    """Return the first of sorted values that is there twice, or None."""
    repeated = values[1:][values[1:] == values[:-1]]
    return repeated[0] if len(repeated) else None


def _increasing(values):
    """Return whether values strictly increase; blocks keep the memory for 17 million small."""
    step = 1 << 20
    return all(
        bool(
            (values[at + 1 : at + step + 1] > values[at : at + step][: len(values) - at - 1]).all()
        )
        for at in range(0, len(values), step)
    )
