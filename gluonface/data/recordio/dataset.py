"""Training records: face crops with identities, in InsightFace's layout or a plain file."""

from __future__ import annotations

import os
import typing

import numpy as np

from ...errors import DataError, InputError
from ...files import StrPath
from .. import images
from .property_file import read_property
from .reader import RecordFile, find_rec
from .record import (
    HEADER,
    MAGIC,
    RANGE_RECORD,
    checksum_matches,
    first_label,
    size_in_file,
    unpack,
)
from .writer import LABEL_LIMIT

__all__ = ["RecordDataset"]

_REMEDY = "Fetch or write the set again"


def _whole(values):
    """Return float32 values as ints, or None for each when one is not a whole number."""
    if not np.isfinite(values).all() or (values != np.floor(values)).any():
        return [None] * len(values)
    return [int(value) for value in values]


class RecordDataset:
    """Face crops and their identities from RecordIO files.

    Two layouts are read: InsightFace's (see `RecordWriter`) and plain files as im2rec writes them,
    without header, identity records or ``property``. In both, the label of an image is a number
    or an array whose first value is the identity.

    Parameters
    ----------
    path : str or pathlib.Path
        A .rec file, or a folder with train.rec or one other .rec file. The index (.idx) and
        ``property`` are in the same folder.
    image_size : tuple of int, optional
        (height, width) to which every image is resized. By default images are not resized: they
        must have the size that ``property`` says or, without it, that of the first image.
    cache : int, default 268435456
        Bytes. A set that fits into so much memory when decoded (7,000 crops of 112 x 112) is kept
        there by `load`, image by image, and decoded once only; 0 never keeps any.

    Attributes
    ----------
    num_classes : int
        From ``property``, else the largest label + 1.
    image_size : tuple of int
        (height, width) of all images.
    path : pathlib.Path
        The .rec file.

    Raises
    ------
    InputError
        When there is nothing to read at `path`.
    DataError
        When index, ``property``, header or identity records are missing, broken or contradict each
        other. Images and their labels are checked when they are read.

    Notes
    -----
    Opening reads the index and the identity records only: 17 million images take seconds. Any
    number of threads may read one dataset; copies in other processes open the file again.
    """

    image_size: tuple[int, ...]

    def __init__(
        self, path: StrPath, image_size: typing.Sequence[int] | None = None, cache: int = 1 << 28
    ):
        self.path = find_rec(path)
        self._records = RecordFile(self.path)
        found = read_property(self.path.with_name("property"))
        self._property = found and found[:3]
        self._ranges = None  # identity records: int64 (k, 2), first image key and end
        self._positions = self._layout()
        if not len(self._positions):
            raise DataError(f"{self.path} holds no images; write it again")
        if found and found[3:] and found[3] != len(self._positions):
            raise DataError(
                f"{self.path} has {len(self._positions)} images, its property says {found[3]}; it "
                f"was cut short or the files belong to different sets. {_REMEDY}"
            )
        self._labels: typing.Any = None
        self._resize = image_size is not None
        if image_size is not None:
            if len(image_size) != 2 or min(image_size) < 1:
                raise InputError(f"image_size {image_size!r}: (height, width) was expected")
            self.image_size = tuple(int(n) for n in image_size)
        elif self._property:
            self.image_size = self._property[1:]
        else:
            self.image_size = self[0][0].shape[:2]
        height, width = self.image_size
        self._cache = None
        if len(self) * 3 * height * width <= cache:  # np.empty: pages come when they are written
            self._cache = np.empty((len(self), 3, height, width), np.uint8)
            self._cached_label = np.full(len(self), -1, np.int32)  # -1: not there yet

    def _layout(self):
        """Return the positions of the images in the index; read the identity records."""
        everything = range(len(self._records))
        header = self._records.find(0)
        if header is None:
            return everything
        flag, label, data = self._unpack(header)
        if flag == 0 or data:  # an ordinary image
            return everything
        where = f"{self.path}: the header, record 0, names the identity records {label.tolist()}"
        first, end = _whole(label[:2]) if flag == 2 else (None, None)
        if first is None or not 1 < first <= end:
            raise DataError(f"{where}; [first, last + 1] after the images was expected. {_REMEDY}")
        if end > LABEL_LIMIT:  # rounded to float32
            first, end = self._identities_by_size(first, end)
        if first < end and self._records.find(end - 1) is None:
            raise DataError(
                f"{where}, but {self._records.index.name} has no record {end - 1}: it was cut "
                f"short or belongs to another file. {_REMEDY}"
            )
        self._ranges = self._read_ranges(first, end)
        self._image_end = first
        return self._records.between(1, first)

    def _identities_by_size(self, first, end):
        """Correct rounded numbers by size: identity records have 40 bytes, images have more."""
        for position in self._records.between(first - 2, first + 3):
            start, stop = self._records.extent(position)
            if stop - start == RANGE_RECORD.itemsize:
                first = self._records.key(position)
                break
        last = self._records.between(end - 3, end + 3)
        return first, (self._records.key(last[-1]) + 1 if len(last) else end)

    def _read_ranges(self, first, end):
        """Read all identity records, in one go where they lie together, and check them."""
        positions = self._records.between(first, end)
        if not len(positions):
            return None
        values = None
        stored = self._records.read_contiguous(positions, RANGE_RECORD.itemsize)
        if stored is not None:
            fields = stored.view(RANGE_RECORD)[:, 0]
            if (fields["magic"] == MAGIC).all() and (fields["flag"] == 2).all():
                values = fields["range"]
        if values is None:
            values = np.empty((len(positions), 2), np.float32)
            for row, position in enumerate(positions):
                flag, label, data = self._unpack(position)
                if flag != 2 or data:
                    raise DataError(
                        f"{self.path}: record {self._records.key(position)} should be the record "
                        f"of an identity and is something else (flag {flag}, {len(data)} bytes of "
                        f"image). {_REMEDY}"
                    )
                values[row] = label
        return self._check_ranges(values, positions, first)

    def _check_ranges(self, values, positions, first):
        with np.errstate(invalid="ignore"):
            ranges = values.astype(np.int64)
        wrong = (ranges != values).any(1) | (ranges[:, 0] < 1) | (ranges[:, 0] > ranges[:, 1])
        rounded = first > LABEL_LIMIT
        wrong |= ranges[:, 1] > first + rounded
        if wrong.any():
            row = int(np.argmax(wrong))
            raise DataError(
                f"{self.path}: identity record {self._records.key(positions[row])} names the "
                f"images {values[row].tolist()}; [first, last + 1] within 1 to {first} was "
                f"expected. {_REMEDY}"
            )
        if rounded:
            return None  # exact enough for the checks, not for image numbers
        ranges = ranges[ranges[:, 0] < ranges[:, 1]]
        ranges = ranges[np.argsort(ranges[:, 0], kind="stable")]
        overlap = ranges[1:, 0] < ranges[:-1, 1]
        if overlap.any():
            row = int(np.argmax(overlap))
            raise DataError(
                f"{self.path}: the identity records overlap: images {ranges[row].tolist()} and "
                f"{ranges[row + 1].tolist()}; each image belongs to one identity. {_REMEDY}"
            )
        if self._property and len(values) > self._property[0]:
            raise DataError(
                f"{self.path.with_name('property')} says {self._property[0]} classes, "
                f"{self.path.name} has {len(values)} identity records; the files belong to "
                f"different sets. Copy the right property into the folder"
            )
        return ranges

    def __len__(self):
        return len(self._positions)

    def __getstate__(self):  # a copy in another process has no cache
        return {**self.__dict__, "_cache": None}

    def _unpack(self, position, parse=unpack, limit=None):
        try:
            return parse(self._records.payload(position, limit))
        except DataError as error:
            text = str(error)
            if text.startswith(str(self.path)):
                raise
            raise DataError(
                f"{self.path}: record {self._records.key(position)} is broken: {text}. {_REMEDY}"
            ) from error

    def _position(self, index):
        number = index + len(self) if index < 0 else index
        if not 0 <= number < len(self):
            raise IndexError(f"{self.path} has images 0 to {len(self) - 1}, not {index}")
        return int(self._positions[number])

    def _label(self, position, value):
        number = int(value) if -1e9 < value < 1e9 else -1  # NaN and infinities too
        classes = self._property[0] if self._property else LABEL_LIMIT
        if number != value or not 0 <= number < classes:
            limit = f"0 to {classes - 1}" + (" (from property)" if self._property else "")
            raise DataError(
                f"{self.path}: record {self._records.key(position)} has the label {value:g}; a "
                f"whole number from {limit} was expected. {_REMEDY}"
            )
        return number

    @property
    def cached(self) -> bool:
        """Whether `load` keeps decoded images in memory."""
        return self._cache is not None

    def stamp(self) -> list:
        """Return [path, bytes, modification time in ns] of the .rec file."""
        status = os.stat(self.path)
        return [str(self.path.resolve()), status.st_size, status.st_mtime_ns]

    def key(self, index: int) -> int:
        """Return the key of image `index` in the index file, as messages name it."""
        return self._records.key(self._position(index))

    def missing_keys(self) -> list[int]:
        """Return the keys of images that the index should have and has not.

        In InsightFace's layout the images are 1, 2, 3, ...; for a plain set the list is empty.
        """
        if self._ranges is None or isinstance(self._positions, range):
            return []
        keys = self._records.keys[self._positions]
        return np.setdiff1d(np.arange(1, self._image_end), keys).tolist()

    def first_byte(self) -> int:
        """Return the smallest offset in the index: 0, unless the index lacks the first records."""
        return int(self._records.offsets.min())

    def record(self, index: int) -> tuple[int, bytes]:
        """Return (label, encoded image) of image `index`.

        Raises
        ------
        DataError
            When the record is damaged or its label is no identity of this set.
        """
        position = self._position(index)
        flag, label, data = self._unpack(position)
        return self._label(position, label if flag == 0 else label[0]), data

    def inspect(self, index: int) -> tuple[int, bytes, bool]:
        """Return (label, encoded image, whether there is a checksum) of image `index`, checked.

        Raises
        ------
        DataError
            As `record`; and when the record is not what its checksum says, or its size is not the
            distance to the next one.
        """
        position = self._position(index)
        payload, (flag, label, data) = self._unpack(position, lambda p: (p, unpack(p)))
        label = self._label(position, label if flag == 0 else label[0])
        start, end = self._records.extent(position)
        size, matches, wrong = size_in_file(payload), checksum_matches(payload), None
        if matches is False:
            wrong = "is not what its checksum says"
        elif start + size != end:
            wrong = f"has {size} bytes, but the index has the next one {end - start} bytes on"
        if wrong:
            raise DataError(f"{self.path}: record {self._records.key(position)} {wrong}. {_REMEDY}")
        return label, data, matches is not None

    def read(self, index: int) -> bytes:
        """Return the encoded image `index` as bytes."""
        return self.record(index)[1]

    def _decode(self, index, data, decode):
        """Decode and resize; a DataError names the record."""
        try:
            image = decode(data)
            height, width = image.shape[:2]
            if self._resize and (height, width) != self.image_size:
                image = images.resize(image, self.image_size)
            elif (height, width) != getattr(self, "image_size", (height, width)):
                raise DataError(
                    f"it has {width} x {height} pixels, {self.image_size[1]} x "
                    f"{self.image_size[0]} were expected (RecordDataset(..., image_size=...) "
                    "resizes)"
                )
        except DataError as error:
            raise DataError(
                f"{self.path}: the image of record {self.key(index)} cannot be used: {error}"
            ) from error
        return image

    def decode(self, index: int, data: bytes) -> np.ndarray:
        """Return the image in the bytes of record `index`: uint8 (H, W, 3) RGB."""
        return self._decode(index, data, images.decode)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        """Return (image, label): uint8 (H, W, 3) RGB and int."""
        label, data = self.record(index)
        return self.decode(index, data), label

    def load(
        self,
        index: int,
        out: np.ndarray,
        flip: bool = False,
        change: typing.Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> int:
        """Decode image `index` into `out` as RGB and return its label.

        The loader calls this. It allocates nothing but the decoder's buffer, and OpenCV releases
        Python's lock while it works.

        Parameters
        ----------
        index : int
        out : numpy.ndarray
            uint8 (3, H, W), contiguous.
        flip : bool, default False
            Mirror it left to right, before `change`.
        change : callable, optional
            Takes and returns uint8 (H, W, 3) RGB; may overwrite its argument.
        """
        image: typing.Any = None
        if self._cache is None:
            label, data = self.record(index)
            if change is None:
                images.to_planes(self._decode(index, data, images.decode_bgr), out, flip)
            else:
                image = self.decode(index, data)
        else:
            label = int(self._cached_label[index])
            if label < 0:
                label, data = self.record(index)
                images.to_planes(self._decode(index, data, images.decode_bgr), self._cache[index])
                self._cached_label[index] = label  # last: now other threads may use the image
            if change is None:
                images.copy_planes(self._cache[index], out, flip)
            else:
                image = images.merge(self._cache[index])
        if change is not None:
            images.split(change(images.mirror(image) if flip else image), out)
        return label

    @property
    def labels(self) -> np.ndarray:
        """The labels of all images, int32 (n,); read on first use and kept.

        In InsightFace's layout the identity records say which images share a label, so only one
        image per identity is read. Otherwise the header of every record is read.
        """
        if self._labels is None:
            labels = np.full(len(self), -1, np.int32)
            if self._ranges is not None:
                self._fill_labels(labels)
            for index in np.flatnonzero(labels < 0):
                labels[index] = self._header_label(index)
            self._labels = labels
        return self._labels

    def _fill_labels(self, labels):
        keys = None if isinstance(self._positions, range) else self._records.keys[self._positions]
        for start, end in self._ranges.tolist():
            low, high = (
                (start - 1, end - 1) if keys is None else np.searchsorted(keys, (start, end))
            )
            if low < high:
                labels[low:high] = self._header_label(low)

    def _header_label(self, index):
        position = self._position(index)
        _, label = self._unpack(position, first_label, HEADER.size + 4)
        return self._label(position, label)

    @property
    def num_classes(self) -> int:
        """The number of classes: from ``property``, else the largest label + 1."""
        if self._property:
            return self._property[0]
        return int(self.labels.max()) + 1
