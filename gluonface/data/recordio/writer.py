"""Writing training records in InsightFace's layout."""

from __future__ import annotations

import contextlib
import os
import pathlib
import typing

from ...errors import DataError, InputError
from ...files import FileLock, StrPath, open_to_write, sync
from .. import images
from .index import scan_records
from .record import HEADER, add_checksum, frame, pack

__all__ = ["LABEL_LIMIT", "RecordWriter"]

LABEL_LIMIT = 1 << 24  # labels are stored as float32, which holds every integer up to here


class RecordWriter:
    """Write a training set that InsightFace's readers and ours read.

    The folder gets ``NAME.rec``, ``NAME.idx`` and ``property``. Record 0 has the label
    ``[first identity record, last identity record + 1]``, records 1..N are the images, and then
    comes one record per identity with the label ``[first image, last image + 1]``. The files are
    written under temporary names and renamed at the end, the index last: a reader finds the old
    set, no set, or the new one.

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
        The `state` of an earlier writer whose temporary file is still there. Writing continues
        from that state; what was added later is cut off.

    Raises
    ------
    InputError
        When the folder is a file, or another process writes a set of this name there.
    DataError
        When the temporary file that `resume` describes is not there or is damaged.

    Examples
    --------
    >>> import numpy as np
    >>> jpeg = images.encode(np.zeros((112, 112, 3), np.uint8))
    >>> with RecordWriter("faces") as writer:
    ...     for label in (0, 0, 1):
    ...         writer.add(jpeg, label)
    """

    def __init__(
        self,
        path: StrPath,
        num_classes: int | None = None,
        name: str = "train",
        plain: bool = False,
        resume: dict | None = None,
    ):
        self.path = pathlib.Path(path)
        self.name = name
        self.plain = plain
        self.num_classes = num_classes
        self.image_size: tuple[int, ...] | None = None  # (height, width) of the first image
        self._ranges: dict[int, list[int]] = {}  # label -> [first key, last key + 1]
        self._last: int | None = None
        self._offsets: list[int] = []
        self._position = 0
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise InputError(
                f"{self.path} is a file; a folder for the records was expected"
            ) from error
        self._target = self.path / f"{name}.rec"
        self._temporary = self.path / f".{name}.rec.part"
        self._lock = FileLock(self.path / f".{name}.lock", stays=False)
        holder = self._lock.acquire()
        if holder is not None:
            raise InputError(
                f"{self.path} is in use: {holder}, writes {name}.rec there; wait for it, or choose "
                "another folder"
            )
        try:
            if resume is not None:
                self._resume(*_checked_state(resume, self._temporary))
                return
            self._file = open_to_write(self._temporary, "wb", name=self._target)
            if not plain:
                self._put(pack((0, 0), 0))  # filled in at the end, when the numbers are known
        except BaseException:
            self._lock.release()
            raise

    def _resume(self, position, image_size):
        """Read the labels and offsets of the temporary file up to `position`; append after it."""
        self.image_size = image_size and tuple(image_size)
        size = self._temporary.stat().st_size if self._temporary.exists() else -1
        if size < position:
            raise DataError(
                f"{self._temporary} has {max(size, 0)} bytes, {position} were expected; remove it "
                "and begin again"
            )
        for at, length, head in scan_records(self._temporary, position):
            if length < HEADER.size:
                raise DataError(f"{self._temporary}: the record at byte {at} has {length} bytes")
            if self._offsets or self.plain:
                self._extend_range(int(HEADER.unpack_from(head)[1]), len(self._offsets))
            self._offsets.append(at)
        self._file = open_to_write(self._temporary, "r+b", name=self._target)
        self._file.truncate(position)
        self._file.seek(position)
        self._position = position

    def state(self) -> dict:
        """Sync the temporary file to the disk; return what `resume` needs to continue from here."""
        self._sync()
        return {"position": self._position, "image_size": self.image_size}

    def pause(self) -> None:
        """Close the temporary file and keep it for a later writer with `resume`."""
        try:
            self._sync()
        finally:
            self._file.close()
            self._lock.release()

    def _sync(self):
        sync(self._file)

    def __len__(self):
        return len(self._offsets) if self.plain else max(0, len(self._offsets) - 1)

    @property
    def identities(self) -> int:
        """The number of identities that have images."""
        return len(self._ranges)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if kind is None:
            self.close()
        else:
            self.discard()

    def add(self, image: bytes, label: typing.SupportsInt) -> None:
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
            When the label is out of range or comes back after another identity, or the bytes are
            no image or have another size than the images before.
        """
        number = int(label)
        if (
            number != label
            or not 0 <= number < LABEL_LIMIT
            or number >= (self.num_classes or LABEL_LIMIT)
        ):
            raise InputError(
                f"label {label!r} of image {len(self)}: a whole number from 0 to "
                f"{(self.num_classes or LABEL_LIMIT) - 1} was expected"
            )
        image = bytes(image)
        shape = None if images.find_defect(image) else images.size(image)
        if shape is None:
            reason = images.find_defect(image) or "its header is broken"
            raise InputError(f"image {len(self)} (label {number}) cannot be stored: {reason}")
        if self.image_size is None:
            self.image_size = tuple(shape)
        elif tuple(shape) != self.image_size:
            raise InputError(
                f"image {len(self)} (label {number}) has {shape[1]} x {shape[0]} pixels, those "
                f"before it {self.image_size[1]} x {self.image_size[0]}; resize it first"
            )
        key = len(self._offsets)
        self._extend_range(number, key)
        self._put(add_checksum(pack(float(number), key, image)))

    def _extend_range(self, number, key):
        """Extend the range of identity `number` by record `key`."""
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

    def close(self) -> None:
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
        try:
            self._publish()
        finally:
            self._lock.release()

    def _publish(self):
        """Rename all files into place, the index last: without it no reader opens the .rec."""
        classes = self.num_classes or max(self._ranges) + 1
        height, width = self.image_size
        index = self.path / f"{self.name}.idx"
        texts = {
            self.path / f".{self.name}.idx.part": "".join(
                f"{key}\t{offset}\n" for key, offset in enumerate(self._offsets)
            ),
            self.path / ".property.part": f"{classes},{height},{width}\n",
        }
        for temporary, text in texts.items():
            with open_to_write(temporary, "w", encoding="ascii") as file:
                file.write(text)
                sync(file)
        with contextlib.suppress(FileNotFoundError):
            index.unlink()
        os.replace(self._temporary, self.path / f"{self.name}.rec")
        os.replace(self.path / ".property.part", self.path / "property")
        os.replace(self.path / f".{self.name}.idx.part", index)

    def discard(self) -> None:
        """Remove the temporary file; files that were there before stay as they were."""
        self._file.close()
        with contextlib.suppress(FileNotFoundError):
            self._temporary.unlink()
        self._lock.release()


def _checked_state(state, temporary):
    """Return the position and the image size of a `RecordWriter.state`, read from a file."""
    state = state if isinstance(state, dict) else {}
    position, size = state.get("position"), state.get("image_size")
    whole = size is None or (isinstance(size, (list, tuple)) and len(size) == 2)
    numbers = [position, *(size or ())] if whole else [None]
    if not all(type(number) is int and number >= 0 for number in numbers):
        raise DataError(f"the saved state of {temporary} is damaged; remove both and begin again")
    return position, size
