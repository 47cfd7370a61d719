"""Stored features: packed arrays (.npy, .npz), and MegaFace's .bin files of one image each."""

from __future__ import annotations

import dataclasses
import hashlib
import pathlib
import struct

import numpy as np

from ...data.arrays import load_arrays
from ...data.embedding_origin import EmbeddingOrigin, pop_origin
from ...errors import DataError, InputError
from ...files import atomic_write, sha256, stand_in
from ..scores.feature_matrix import check_matrix, row_lengths

__all__ = ["BinFolder", "StoredFeatures", "load_features", "read_bin", "write_bin"]

_HEADER = struct.Struct("<4i")
_FLOAT = 5  # OpenCV's number for 32-bit floats
_NAMES = ("e", "embedding", "features", "emb")


@dataclasses.dataclass(frozen=True, eq=False)
class StoredFeatures:
    """Features out of a file.

    Attributes
    ----------
    e : numpy.ndarray, shape (n, D)
        Maybe mapped from disk.
    f : numpy.ndarray, shape (n, D), or None
        Outputs for the mirrored images.
    names : numpy.ndarray of str, shape (n,), or None
    arrays : dict of str to numpy.ndarray
        Everything else that the file holds.
    path : pathlib.Path
    sha256 : str
    origin : EmbeddingOrigin or None
        The model that made them, and their flip form; None where the file does not say. With
        outputs of images and mirrors (``f``) there is no flip form yet.
    """

    e: np.ndarray
    f: object
    names: object
    arrays: dict
    path: pathlib.Path
    sha256: str
    origin: EmbeddingOrigin | None = None

    def in_order_of(self, names, what):
        """Return these in the order of `names`, which the file must hold; `what` lists them."""
        if self.names is None:
            if len(self.e) != len(names):
                raise InputError(
                    f"{self.path} holds {len(self.e)} features and {what} {len(names)} images; "
                    "without names in the file they must agree, in the same order"
                )
            return self
        place = {str(name): row for row, name in enumerate(self.names)}
        missing = [name for name in names if name not in place]
        if missing:
            raise InputError(
                f"{self.path} has no feature of {missing[0]} and {len(missing) - 1} others of "
                f"the {len(names)} images of {what}"
            )
        rows = np.array([place[name] for name in names], np.int64)
        if len(rows) == len(self.e) and (rows == np.arange(len(rows))).all():
            return self
        f = None if self.f is None else self.f[rows]
        return dataclasses.replace(self, e=self.e[rows], f=f, names=np.array(names))


def load_features(path):
    """Load a packed file of features.

    Parameters
    ----------
    path : str or pathlib.Path
        ``.npy`` of shape (n, D), which is mapped rather than read; or ``.npz`` with the array
        ``e`` or ``embedding`` (as `gluonface embed` writes it), ``f`` of the mirrored images, and
        ``path``, the images' names; ``model``, ``model_sha256`` and ``flip`` say what made them.

    Returns
    -------
    StoredFeatures

    Raises
    ------
    InputError
        There is no such file, or it is of another kind.
    DataError
        It cannot be read, or a value is not finite; the row is named.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise InputError(f"there is no file {path}; stored features (.npy or .npz) were expected")
    if path.suffix not in (".npy", ".npz"):
        raise InputError(f"{path}: expected features in a .npy or .npz file")
    arrays = load_arrays(path, mapped=True)
    single = isinstance(arrays, np.ndarray)
    if single != (path.suffix == ".npy"):
        raise DataError(f"{path} cannot be read as plain arrays: its content is not {path.suffix}")
    if single:
        arrays = {"e": arrays}
    name = next((name for name in _NAMES if name in arrays), None)
    if name is None:
        raise DataError(
            f"{path} holds {', '.join(arrays) or 'nothing'}; expected an array e or embedding "
            "of shape (images, embedding size)"
        )
    try:
        e, f = check_matrix(arrays.pop(name), f"{path}: {name}"), arrays.pop("f", None)
        row_lengths(e, f"{path}: {name}")
        if f is not None:
            row_lengths(check_matrix(f, f"{path}: f", len(e)), f"{path}: f")
    except InputError as error:
        raise DataError(str(error)) from error
    origin = pop_origin(arrays, path)
    if origin is not None and (f is not None or name == "e"):  # outputs, not merged yet
        origin = dataclasses.replace(origin, flip=None)
    names = arrays.pop("path", None)
    if names is not None and (names.shape != (len(e),) or names.dtype.kind != "U"):
        raise DataError(f"{path}: path has shape {names.shape} for {len(e)} features")
    return StoredFeatures(e, f, names, arrays, path, sha256(path), origin)


def read_bin(path, size=None):
    """Read one feature in MegaFace's format: four int32 (rows, 1, 4, 5), then rows x float32.

    Parameters
    ----------
    path : str or pathlib.Path
    size : int, optional
        How many values are expected.

    Returns
    -------
    numpy.ndarray, shape (D,), float32

    Raises
    ------
    DataError
        A wrong header, length or size, or a value that is not finite; the file is named.
    """
    try:
        with open(path, "rb") as file:
            data = file.read()
    except FileNotFoundError:
        raise DataError(f"there is no feature file {path}") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    what = stand_in(data)
    if what is not None:
        raise DataError(f"{path} is {what}")
    if len(data) < _HEADER.size:
        raise DataError(f"{path} has {len(data)} bytes; a feature file begins with 16 of header")
    rows, columns, item, kind = _HEADER.unpack_from(data)
    if (columns, item, kind) != (1, 4, _FLOAT) or rows < 1:
        raise DataError(
            f"{path}: the header says {rows} x {columns}, element size {item}, type {kind}; "
            f"expected D x 1, 4, {_FLOAT} (32-bit floats)"
        )
    if len(data) != _HEADER.size + 4 * rows:
        raise DataError(
            f"{path} has {len(data)} bytes; {_HEADER.size + 4 * rows} were expected for its "
            f"{rows} values"
        )
    if size is not None and rows != size:
        raise DataError(f"{path} holds {rows} values; the others hold {size}")
    feature = np.frombuffer(data, "<f4", rows, _HEADER.size)
    if not np.isfinite(feature).all():
        raise DataError(f"{path}: value {int(np.argmin(np.isfinite(feature)))} is not finite")
    return feature


def write_bin(path, feature):
    """Write one feature (D,) in MegaFace's format."""
    feature = np.asarray(feature, "<f4")
    with atomic_write(path) as file:
        file.write(_HEADER.pack(len(feature), 1, 4, _FLOAT) + feature.tobytes())


class BinFolder:
    """Features that lie one a file below a folder, read a slice at a time.

    A million files take long to read: their SHA-256 is computed while a first pass reads them.

    Parameters
    ----------
    folder : str or pathlib.Path
    names : sequence of str
        Paths of the images below it.
    suffix : str
        What follows the image's path in the feature file's name, such as ``_r50.bin``.
    """

    def __init__(self, folder, names, suffix):
        self.folder, self.names, self.suffix = pathlib.Path(folder), list(names), suffix
        if not self.folder.is_dir():
            raise InputError(f"there is no folder {folder} of features")
        if not self.names:
            raise InputError(f"no names of features below {folder}")
        self.shape = (len(self.names), len(read_bin(self._file(0))))
        self.dtype = np.dtype(np.float32)
        self.ndim = 2
        self._digest, self._hashed = hashlib.sha256(), 0

    @property
    def sha256(self):
        """SHA-256 of all features in order; reads those that have not been read yet."""
        while self._hashed < len(self):
            self[self._hashed : self._hashed + 4096]
        return self._digest.hexdigest()

    def _file(self, number):
        return self.folder / (self.names[number] + self.suffix)

    def __len__(self):
        return len(self.names)

    def __getitem__(self, rows):
        if not isinstance(rows, slice):
            raise TypeError("a folder of features is read by slices")
        numbers = range(len(self))[rows]
        block = np.empty((len(numbers), self.shape[1]), np.float32)
        for row, number in zip(block, numbers):
            row[:] = read_bin(self._file(number), self.shape[1])
        if len(numbers) and numbers.step == 1 and numbers[0] == self._hashed:
            self._digest.update(block.tobytes())
            self._hashed = numbers[-1] + 1
        return block
