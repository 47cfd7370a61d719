"""The images of a protocol: their folder, their alignment, and a key of their content."""

import hashlib
import pathlib

import numpy as np

from ...data.sources.photo_folder import SUFFIXES
from ...errors import DataError, InputError
from .text_tables import read_fields

__all__ = ["EncodedImages", "ImageList", "align", "find_people", "read_list"]


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
        if self.resize:
            return images.fit(image, self.size)
        if image.shape[:2] != (self.size, self.size):
            raise DataError(
                f"{file} is {image.shape[1]}x{image.shape[0]}; expected an aligned face of "
                f"{self.size}x{self.size}. Align it first, or scale it with --resize"
            )
        return image

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

        try:
            image = images.decode(self.encoded(number))
        except DataError as error:
            raise DataError(f"{self.names[number]} cannot be used: {error}") from error
        if image.shape[:2] == (self.size, self.size):
            return image
        if not self.resize:
            raise DataError(
                f"{self.names[number]} is {image.shape[1]}x{image.shape[0]}; expected an aligned "
                f"face of {self.size}x{self.size}. Align it first, or scale it with --resize"
            )
        return images.fit(image, self.size)

    def key(self):
        """Return a SHA-256 of the names and of all encoded bytes."""
        digest = hashlib.sha256(f"{self.size} {self.resize}".encode())
        for number, name in enumerate(self.names):
            digest.update(f"\n{name} ".encode("utf-8", "surrogateescape"))
            digest.update(hashlib.sha256(self.encoded(number)).digest())
        return digest.hexdigest()


def find_people(folder):
    """Find the images of a directory of people.

    Returns
    -------
    names : list of str
        Relative paths, sorted.
    people : list of str
        The first folder of each, which is the person.
    """
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}; one with a folder a person was expected")
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    names = [file.relative_to(folder) for file in files]
    loose = [name for name in names if len(name.parts) < 2]
    if loose:
        raise InputError(f"{folder / loose[0]} lies in no person's folder; expected PERSON/IMAGE")
    if not names:
        raise InputError(f"{folder} holds no images ({', '.join(SUFFIXES)})")
    return [name.as_posix() for name in names], [name.parts[0] for name in names]


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
