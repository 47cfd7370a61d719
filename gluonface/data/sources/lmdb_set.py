"""Faces in LMDB: MessagePack (HaiyuWu) or pickles (Efficient-PyTorch) under numbered keys."""

from __future__ import annotations

import numpy as np

from ...errors import DataError, InputError
from ...files import StrPath
from ..formats import messagepack
from ..formats.lmdb_pages import LmdbPages
from ..unpickle import load_value
from .source import FaceSource, number_keys

__all__ = ["LmdbSet"]

_KEYS, _COUNT = b"__keys__", b"__len__"
_STEP = 1 << 12  # entries that are looked at at once


class LmdbSet(FaceSource):
    """The images of an LMDB database with ``__keys__``, in the order of those.

    Parameters
    ----------
    path : str or pathlib.Path
        The file, or the folder with ``data.mdb``.

    Raises
    ------
    InputError
        When it is no face set; its first keys are named.
    DataError
        When it is damaged, or names keys that are not there.
    """

    kind = "lmdb"

    def __init__(self, path: StrPath):
        self.pages = LmdbPages(path)
        self.path = self.pages.path
        names = self.pages.find(_KEYS)
        if names is None:
            first = ", ".join(
                key.decode("utf-8", "replace") for key in self.pages.keys[:5].tolist()
            )
            count = "" if self.pages.find(_COUNT) is None else " but __len__"
            raise InputError(
                f"{self.path} is an LMDB database of {len(self.pages)} entries without __keys__"
                f"{count}; its first keys are {first or 'none'}. One with __keys__ and __len__ (as "
                "imagelist2lmdb.py or folder2lmdb.py write it) was expected"
            )
        self._places = self._positions(self.pages.value(names))
        count = self._number(_COUNT)
        if count is not None and count != len(self._places):
            raise self._wrong(f"__len__ is {count}, __keys__ has {len(self._places)} keys")
        if not len(self._places):
            raise InputError(f"{self.path} is an LMDB database without images")
        self.labels, self.keys = number_keys(self._all_labels())
        self._left_out = []
        if self.keys[0] == "-1":
            nobody = np.flatnonzero(self.labels == 0)
            self._left_out = [(self.name(i), "its label is -1, nobody") for i in nobody.tolist()]
            kept = np.flatnonzero(self.labels > 0)
            self._places, self.labels, self.keys = (
                self._places[kept], self.labels[kept] - 1, self.keys[1:]
            )  # fmt: skip

    def _wrong(self, what):
        return DataError(
            f"{self.path} is an LMDB database that cannot be used: {what}; fetch or write it again"
        )

    def _decode(self, data, what):
        """Return a value, whether MessagePack or a pickle."""
        try:
            if data[:1] == b"\x80" and data[1:2] in (b"\2", b"\3", b"\4", b"\5"):
                return load_value(data)
            return messagepack.unpack(data)
        except DataError as error:
            raise self._wrong(
                f"{what} is neither MessagePack nor a pickle of bytes and numbers ({error}). "
                "No library reads values of pyarrow.serialize (dumps_pyarrow) any more"
            ) from error

    def _number(self, key):
        position = self.pages.find(key)
        if position is None:
            return None
        value = self._decode(self.pages.value(position), key.decode())
        if not isinstance(value, int):
            raise self._wrong(f"{key.decode()} is no whole number")
        return value

    def _positions(self, data):
        """Return the position of each image, in the order of ``__keys__``."""
        there = self.pages.keys
        count = _consecutive(data)
        if count is not None:
            places = np.full(count, -1, np.int32)
            numbers = _numbers(there)
            known = np.flatnonzero((numbers >= 0) & (numbers < count))
            places[numbers[known]] = known
            missing = np.flatnonzero(places < 0)
            missing_keys = [str(number).encode() for number in missing[:1].tolist()]
        else:
            keys = self._decode(data, "__keys__")
            if not isinstance(keys, list) or not all(isinstance(key, bytes) for key in keys):
                raise self._wrong("__keys__ is no list of keys")
            longest = max(map(len, keys), default=1)
            wanted = np.array(keys, f"S{max(longest, 1)}")
            places = np.searchsorted(there, wanted).astype(np.int32)
            missing = np.flatnonzero(there[np.minimum(places, len(there) - 1)] != wanted)
            missing_keys = wanted[missing[:1]].tolist()
        if len(missing):
            key = missing_keys[0].decode("utf-8", "replace")[:100]
            raise self._wrong(f"__keys__ names {len(missing)} keys that are not there, as {key!r}")
        if len(places) and np.bincount(places).max() > 1:
            raise self._wrong("__keys__ names a key twice: there would be two images under it")
        return places

    def _all_labels(self):
        """Return the label of each image, int64 (n,)."""
        pages = self.pages
        found = np.zeros(len(pages), np.int64)  # by position: the order of the file
        known = np.zeros(len(pages), bool)
        with pages.bytes_at() as read:
            for start in range(0, len(pages), _STEP):
                rows = slice(start, start + _STEP)
                sizes = pages.sizes[rows].astype(np.int64)
                ends = _end_of_image(read(pages.offsets[rows], 7))
                fits = (ends > 0) & (ends < sizes)
                places = pages.offsets[rows] + np.where(fits, ends, 0)
                found[rows], length = _whole_number(read(places, 9))
                known[rows] = fits & (ends + length == sizes) & (length > 0)
        labels = found[self._places]
        for index in np.flatnonzero(~known[self._places]).tolist():  # pickles, and what is wrong
            labels[index] = self._sample(index)[1]
        return labels

    def _sample(self, index):
        """Return (image, label) of an entry."""
        position = int(self._places[index])
        where = f"the value of key {self.pages.keys[position].decode('utf-8', 'replace')!r}"
        value = self._decode(self.pages.value(position), where)
        if isinstance(value, list) and len(value) == 2:
            image, label = (_single(item) for item in value)
            if isinstance(image, np.ndarray) and image.dtype == np.uint8:
                image = image.tobytes()
            whole = isinstance(label, (int, np.integer)) and -(1 << 63) <= label < 1 << 63
            if isinstance(image, bytes) and whole:
                return image, int(label)
        raise self._wrong(f"{where} is no pair of an image and a whole number")

    def name(self, index: int) -> str:
        """See `FaceSource`. The file and the key."""
        key = self.pages.keys[int(self._places[index])].decode("utf-8", "replace")
        return f"{self.path}: {key}"

    def read(self, index: int) -> bytes:
        """See `FaceSource`."""
        return self._sample(index)[0]

    def ignored(self) -> list[tuple[str, str]]:
        """See `FaceSource`. Images of nobody."""
        return self._left_out

    def stamp(self) -> list:
        """See `FaceSource`. Bytes and modification time of the file."""
        state = self.path.stat()
        return [str(self.path.resolve()), state.st_size, state.st_mtime_ns]


def _single(value):
    """Return the only element of a list or array of one."""
    if isinstance(value, (list, np.ndarray)) and len(value) == 1 and np.ndim(value) <= 1:
        return value[0]
    return value


def _consecutive(data):
    """Return n if a MessagePack array is that of the keys ``0, 1, ..., n - 1``, else None.

    Millions of keys are compared at once; as single objects they would need a gigabyte.
    """
    if data[:1] == b"\xdd":
        count, at = int.from_bytes(data[1:5], "big"), 5
    elif data[:1] == b"\xdc":
        count, at = int.from_bytes(data[1:3], "big"), 3
    else:
        return None
    if count > len(data):
        return None
    start = 0
    while start < count:
        digits = len(str(start))
        stop = min(10**digits, count, start + _STEP)
        modern = data[at : at + 1] == b"\xc4"
        head = b"\xc4" + bytes([digits]) if modern else bytes([0xA0 | digits])
        rows = np.empty((stop - start, len(head) + digits), np.uint8)
        rows[:, : len(head)] = np.frombuffer(head, np.uint8)
        numbers = np.arange(start, stop)
        for place in range(digits):
            rows[:, -1 - place] = numbers // 10**place % 10 + ord("0")
        if data[at : at + rows.size] != rows.tobytes():
            return None
        start, at = stop, at + rows.size
    return count if at == len(data) else None


def _numbers(keys):
    """Return the numbers that keys are, int32 (n,), -1 for others."""
    width = keys.dtype.itemsize
    found = np.full(len(keys), -1, np.int32)
    for start in range(0, len(keys), _STEP):
        text = keys[start : start + _STEP].view(np.uint8).reshape(-1, width)[:, :10]
        value = np.zeros(len(text), np.int64)
        good = np.ones(len(text), bool)
        ended = np.zeros(len(text), bool)
        for column in text.T:
            ended |= column == 0
            good &= ended | ((column >= ord("0")) & (column <= ord("9")))
            value = np.where(ended, value, 10 * value + column - ord("0"))
        long = keys[start : start + _STEP].view(np.uint8).reshape(-1, width)[:, 10:].any(axis=1)
        good &= ~long & (value < 1 << 31) & ((text[:, 0] != ord("0")) | (value == 0))
        if width > 1:  # "00"
            good &= (text[:, 0] != ord("0")) | (text[:, 1] == 0)
        found[start : start + _STEP] = np.where(good, value, -1)
    return found


def _end_of_image(head):
    """Return where the image of ``[image, label]`` ends, 0 where that is not what begins there.

    Parameters
    ----------
    head : numpy.ndarray
        uint8 (n, 7), the first bytes of MessagePack values.
    """
    head = head.astype(np.int64)
    tag = head[:, 1]
    ends = np.zeros(len(head), np.int64)
    for size, tags in ((1, (0xC4, 0xD9)), (2, (0xC5, 0xDA)), (4, (0xC6, 0xDB))):
        length = sum(head[:, 2 + i] << 8 * (size - 1 - i) for i in range(size))
        ends = np.where(np.isin(tag, tags), 2 + size + length, ends)
    return np.where(head[:, 0] == 0x92, ends, 0)


def _whole_number(tail):
    """Return the whole numbers at the beginning of MessagePack values, and their lengths or 0."""
    tag = tail[:, 0].astype(np.int64)
    values = np.where(tag >= 0xE0, tag - 256, tag)
    lengths = ((tag < 0x80) | (tag >= 0xE0)).astype(np.int64)
    for size, unsigned, signed in (
        (1, 0xCC, 0xD0),
        (2, 0xCD, 0xD1),
        (4, 0xCE, 0xD2),
        (8, 0xCF, 0xD3),
    ):
        raw = np.ascontiguousarray(tail[:, 1 : 1 + size])
        for first, kind in ((unsigned, "u"), (signed, "i")):
            found = raw.view(f">{kind}{size}").ravel()
            here = tag == first
            if size == 8 and kind == "u":
                here &= found < 1 << 63
            values = np.where(here, found.astype(np.int64), values)
            lengths = np.where(here, 1 + size, lengths)
    return values, lengths
