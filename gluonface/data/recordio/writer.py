"""Writing training records in InsightFace's layout."""

import contextlib
import os
import pathlib

from ...errors import DataError, InputError
from .. import images
from .index import scan_records
from .record import HEADER, frame, pack, seal

__all__ = ["EXACT", "RecordWriter"]

EXACT = 1 << 24  # float32, in which labels are stored, holds every integer up to here


class RecordWriter:
    """Write a training set that InsightFace's readers and ours read.

    The folder gets ``NAME.rec``, ``NAME.idx`` and ``property``. Record 0 has the label
    ``[first identity record, last identity record + 1]``, records 1..N are the images, and then
    comes one record per identity with the label ``[first image, last image + 1]``. Everything is
    written beside and renamed at the end, the index last: a reader finds the old set, no set, or
    the new one.

    Parameters
    ----------
    path : str or pathlib.Path
        The folder; it is made when it is not there.
    num_classes : int, optional
        For ``property``; by default the largest label + 1.
    name : str, default "train"
        Stem of the files.
    plain : bool, default False
        Write no header and no identity records, as im2rec does; then images may come in any
        order.
    resume : dict, optional
        The `state` of an earlier writer that `pause` or a kill left behind, to go on from there;
        what it added later is cut off.

    Raises
    ------
    InputError
        When the folder is a file.
    DataError
        When there is no such part of a file to go on with.

    Examples
    --------
    >>> import numpy as np
    >>> jpeg = images.encode(np.zeros((112, 112, 3), np.uint8))
    >>> with RecordWriter("faces") as writer:
    ...     for label in (0, 0, 1):
    ...         writer.add(jpeg, label)
    """

    def __init__(self, path, num_classes=None, name="train", plain=False, resume=None):
        self.path = pathlib.Path(path)
        self.name = name
        self.plain = plain
        self.num_classes = num_classes
        self.image_size = None  # (height, width) of the first image
        self._ranges = {}  # label -> [first key, last key + 1], in order of appearance
        self._last = None
        self._offsets = []
        self._position = 0
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise InputError(
                f"{self.path} is a file; a folder for the records was expected"
            ) from error
        self._part = self.path / f".{name}.rec.part"
        if resume is not None:
            self._resume(**resume)
            return
        self._file = open(self._part, "wb")  # noqa: SIM115  (open until close or discard)
        if not plain:
            self._put(pack((0, 0), 0))  # filled in at the end, when the numbers are known

    def _resume(self, position, image_size):
        """Take up the part of a file, as far as `position`."""
        self.image_size = image_size and tuple(image_size)
        size = self._part.stat().st_size if self._part.exists() else -1
        if size < position:
            raise DataError(
                f"{self._part} has {max(size, 0)} bytes, {position} were expected; remove it and "
                "begin again"
            )
        for at, length, head in scan_records(self._part, position):
            if length < HEADER.size:
                raise DataError(f"{self._part}: the record at byte {at} has {length} bytes")
            if self._offsets or self.plain:
                self._note(int(HEADER.unpack_from(head)[1]), len(self._offsets))
            self._offsets.append(at)
        self._file = open(self._part, "r+b")  # noqa: SIM115  (open until close or discard)
        self._file.truncate(position)
        self._file.seek(position)
        self._position = position

    def state(self):
        """Bring to the disk what was added; return what `resume` needs to go on from here."""
        self._sync()
        return {"position": self._position, "image_size": self.image_size}

    def pause(self):
        """Close the file and leave it for a later writer with `resume`."""
        self._sync()
        self._file.close()

    def _sync(self):
        self._file.flush()
        os.fsync(self._file.fileno())

    def __len__(self):
        return len(self._offsets) if self.plain else max(0, len(self._offsets) - 1)

    @property
    def identities(self):
        """How many identities have images."""
        return len(self._ranges)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if kind is None:
            self.close()
        else:
            self.discard()

    def add(self, image, label):
        """Append one image.

        Parameters
        ----------
        image : bytes
            An encoded image (JPEG or PNG); all images of a set have the same size.
        label : int
            The identity, 0 or more. Images of one identity must follow each other.

        Raises
        ------
        InputError
            A label that is no such number or comes back later; bytes that are no image; another
            size than the images before.
        """
        number = int(label)
        if number != label or not 0 <= number < EXACT or number >= (self.num_classes or EXACT):
            raise InputError(
                f"label {label!r} of image {len(self)}: a whole number from 0 to "
                f"{(self.num_classes or EXACT) - 1} was expected"
            )
        image = bytes(image)
        shape = None if images.check(image) else images.size(image)
        if shape is None:
            reason = images.check(image) or "its header is broken"
            raise InputError(f"image {len(self)} (label {number}) cannot be stored: {reason}")
        if self.image_size is None:
            self.image_size = tuple(shape)
        elif tuple(shape) != self.image_size:
            raise InputError(
                f"image {len(self)} (label {number}) has {shape[1]} x {shape[0]} pixels, those "
                f"before it {self.image_size[1]} x {self.image_size[0]}; resize it first"
            )
        key = len(self._offsets)
        self._note(number, key)
        self._put(seal(pack(float(number), key, image)))

    def _note(self, number, key):
        """Note that record `key` is an image of identity `number`."""
        if number != self._last and number in self._ranges and not self.plain:
            raise InputError(
                f"label {number} comes back at image {len(self)} after another identity; "
                "the images of one identity must follow each other: sort them by label"
            )
        self._ranges.setdefault(number, [key, key])[1] = key + 1
        self._last = number

    def _put(self, payload):
        data = frame(payload)
        self._offsets.append(self._position)
        self._file.write(data)
        self._position += len(data)

    def close(self):
        """Write the identity records and rename the files into place."""
        if self._file.closed:
            return
        try:
            if not self._ranges:
                raise InputError(f"{self.path}: no image was added, so there is nothing to write")
            if not self.plain:
                first = len(self._offsets)
                for first_image, end in self._ranges.values():
                    self._put(pack((first_image, end), len(self._offsets)))
                self._file.seek(0)
                self._file.write(frame(pack((first, len(self._offsets)), 0)))
            self._sync()
        except BaseException:
            self.discard()
            raise
        self._file.close()
        self._publish()

    def _publish(self):
        """Rename all files into place. Without its index a .rec is not opened, so it comes last."""
        classes = self.num_classes or max(self._ranges) + 1
        height, width = self.image_size
        index = self.path / f"{self.name}.idx"
        parts = {
            self.path / f".{self.name}.idx.part": "".join(
                f"{key}\t{offset}\n" for key, offset in enumerate(self._offsets)
            ),
            self.path / ".property.part": f"{classes},{height},{width}\n",
        }
        for part, text in parts.items():
            with open(part, "w", encoding="ascii") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
        with contextlib.suppress(FileNotFoundError):
            index.unlink()
        os.replace(self._part, self.path / f"{self.name}.rec")
        os.replace(self.path / ".property.part", self.path / "property")
        os.replace(self.path / f".{self.name}.idx.part", index)

    def discard(self):
        """Forget what was added; files that were there before stay as they were."""
        self._file.close()
        with contextlib.suppress(FileNotFoundError):
            self._part.unlink()
