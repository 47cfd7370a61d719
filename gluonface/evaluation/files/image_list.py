"""The images of a protocol: their folder, their alignment, and a key of their content."""

import hashlib
import json
import pathlib

import numpy as np

from ...errors import DataError, InputError
from .text_tables import read_fields

__all__ = ["EncodedImages", "FaceImages", "ImageList", "align", "read_list"]


def align(image, points, size=112):
    """Return the crop that `gluonface.data.alignment.align_face` cuts out of an image.

    Raises
    ------
    DataError
        The points, which come from a file, lie all in one place or are not numbers.
    """
    from ...data.alignment import align_face

    try:
        return align_face(image, points, size)
    except InputError as error:
        raise DataError(f"its five points lie in one place or are no numbers: {error}") from error


class ImageList:
    """Images below a folder, by name.

    Parameters
    ----------
    folder : str or pathlib.Path
    names : sequence of str
        Paths relative to it.
    points : numpy.ndarray, shape (n, 5, 2), optional
        Align each image with them; else it must be a crop of `size` already.
    resize : bool, default False
        Scale images of other sizes so that the shorter edge is `size`, and cut out the middle.
    size : int, default 112
    """

    def __init__(self, folder, names, points=None, resize=False, size=112):
        self.folder, self.names = pathlib.Path(folder), list(names)
        self.points, self.resize, self.size = points, resize, size
        if not self.folder.is_dir():
            raise InputError(f"there is no folder {folder} of images")
        missing = [name for name in self.names if not (self.folder / name).is_file()]
        if missing:
            raise InputError(
                f"{folder} lacks {len(missing)} of the {len(self.names)} listed images; the first "
                f"is {missing[0]}"
            )

    def __len__(self):
        return len(self.names)

    def read(self, number):
        """Return image `number` as uint8 (size, size, 3) RGB; DataError names its file."""
        from ...data import images

        file = self.folder / self.names[number]
        try:
            image = images.decode(file.read_bytes())
            if self.points is not None:
                return align(image, self.points[number], self.size)
        except (DataError, OSError) as error:
            raise DataError(f"{file} cannot be used: {error}") from error
        return _fit(image, file, self.size, self.resize)

    def key(self):
        """Return a SHA-256 of names, sizes, times and points.

        Contents are hashed when they are read (see `embedding_cache`). Reading half a million
        files to find out that all are in the cache would cost as much as the cache saves.
        """
        digest = hashlib.sha256(f"{self.size} {self.resize}".encode())
        for name in self.names:
            state = (self.folder / name).stat()
            digest.update(f"\n{name} {state.st_size} {state.st_mtime_ns}".encode())
        if self.points is not None:
            digest.update(np.ascontiguousarray(self.points).tobytes())
        return digest.hexdigest()


class EncodedImages:
    """Aligned faces that something reads as encoded images, such as the rows of a table.

    Parameters
    ----------
    read : function
        From the number of an image to its encoded bytes.
    names : sequence of str
        What messages call the images.
    resize : bool, default False
        As for `ImageList`.
    size : int, default 112
    """

    def __init__(self, read, names, resize=False, size=112):
        self.encoded, self.names = read, list(names)
        self.resize, self.size = resize, size

    def __len__(self):
        return len(self.names)

    def read(self, number):
        """Return image `number` as uint8 (size, size, 3) RGB; DataError names it."""
        from ...data import images

        name = self._called(number)
        try:
            image = images.decode(self.encoded(number))
        except (DataError, OSError) as error:
            raise DataError(f"{name} cannot be used: {error}") from error
        return _fit(image, name, self.size, self.resize)

    def _called(self, number):
        """Return what messages call an image."""
        return self.names[number]

    def key(self):
        """Return a SHA-256 of the names and of all encoded bytes."""
        digest = hashlib.sha256(f"{self.size} {self.resize}".encode())
        for number, name in enumerate(self.names):
            digest.update(f"\n{name} ".encode("utf-8", "surrogateescape"))
            digest.update(hashlib.sha256(self.encoded(number)).digest())
        return digest.hexdigest()


class FaceImages(EncodedImages):
    """The images of a `gluonface.data.sources.FaceSource`, as `ImageList` gives those of a folder.

    Parameters
    ----------
    source : FaceSource
    resize, size
        As for `ImageList`.
    """

    def __init__(self, source, resize=False, size=112):
        names = [source.relative_name(number) for number in range(len(source))]
        super().__init__(source.read, names, resize, size)
        self.source = source

    def _called(self, number):
        return self.source.name(number)

    def key(self):
        """Return a SHA-256 of what was named and when it was changed, as of `ImageList`."""
        state = [self.size, self.resize, self.names, self.source.content_stamp()]
        return hashlib.sha256(json.dumps(state).encode()).hexdigest()


def _fit(image, name, size, resize):
    """Return an image of `size`, resized if that is wanted."""
    from ...data import images

    if resize:
        return images.fit(image, size)
    if image.shape[:2] != (size, size):
        raise DataError(
            f"{name} is {image.shape[1]}x{image.shape[0]}; expected an aligned face of "
            f"{size}x{size}. Align it first, or scale it with --resize"
        )
    return image


def read_list(path, columns, what):
    """Read a list: a path a line and then `columns` - 1 labels, by tabs or blanks.

    Returns
    -------
    list of list of str
        The columns. A path is listed once.
    """
    rows, seen = [], {}
    for number, line, fields in read_fields(path, what, most=columns):
        if len(fields) != columns or not all(fields):
            raise DataError(f"{path}, line {number}: {line[:80]!r}; expected {what}")
        if fields[0] in seen:
            raise DataError(
                f"{path}, line {number}: {fields[0]} is listed in line {seen[fields[0]]} already"
            )
        seen[fields[0]] = number
        rows.append(fields)
    if not rows:
        raise DataError(f"{path} lists nothing; expected {what}")
    return [list(column) for column in zip(*rows)]
