"""Arrays with one row per class, in files of 65,536 classes whatever the number of processes.

``weight-000065536.npy`` holds the rows of classes 65,536 to 131,071. Every file is an ordinary
``.npy``, so that `numpy.load` can map it into memory. All ranks write their own rows into the same
files and read the rows that they need, in slices of bounded size.
"""

import hashlib
import io

import numpy as np

from ...errors import DataError, TrainingError
from ...files import open_to_write, sha256, sync

__all__ = ["BLOCK", "RowReader", "create", "file_names", "read", "write"]

BLOCK = 65536
SLICE_BYTES = 1 << 25  # bytes held in memory at a time


def file_names(name, classes):
    """Return [(file name, first class, last class + 1)] of an array."""
    return [
        (f"{name}-{start:09d}.npy", start, min(start + BLOCK, classes))
        for start in range(0, classes, BLOCK)
    ]


def create(folder, name, classes, row_shape, dtype):
    """Make the files of an array ``(classes, *row_shape)``, filled with zeros. On one rank.

    Parameters
    ----------
    folder : pathlib.Path
    name : str
    classes : int
        C, over all ranks.
    row_shape : tuple of int
    dtype : numpy.dtype

    Returns
    -------
    dict of str to tuple
        File name -> (0, bytes, SHA-256) of its header.
    """
    made = {}
    for file, start, stop in file_names(name, classes):
        header = _header((stop - start, *row_shape), dtype)
        with open_to_write(folder / file) as stream:
            stream.write(header)
            stream.truncate(len(header) + (stop - start) * _row_bytes(row_shape, dtype))
            sync(stream)
        made[file] = (0, len(header), hashlib.sha256(header).hexdigest())
    return made


def write(folder, name, classes, start, rows):
    """Write this rank's rows into files that `create` made.

    Parameters
    ----------
    folder, name, classes
        As of `create`.
    start : int
        The class of the first row.
    rows : array-like (n, ...)
        NumPy array, memory-mapped or not, or NDArray.

    Returns
    -------
    dict of str to tuple
        File name -> (first byte, bytes, SHA-256) of what this rank meant to write. Of a file
        whose rows are all of this rank, the header is part of it.

    Raises
    ------
    TrainingError
        If a number is not finite.
    """
    row_shape, dtype = tuple(rows.shape[1:]), np.dtype(rows.dtype)
    size, written = _row_bytes(row_shape, dtype), {}
    for file, first, last in file_names(name, classes):
        low, high = max(first, start), min(last, start + rows.shape[0])
        if low >= high:
            continue
        header = _header((last - first, *row_shape), dtype)
        begins, digest = len(header) + (low - first) * size, hashlib.sha256()
        if (low, high) == (first, last):
            digest.update(header)
        with open_to_write(folder / file, "r+b") as stream:
            stream.seek(begins)
            for begin, end in _slices(low, high, size):
                some = rows[begin - start : end - start]
                some = some.asnumpy() if hasattr(some, "asnumpy") else np.asarray(some)
                if some.dtype.kind == "f" and not np.isfinite(some).all():
                    bad = begin + int(np.nonzero(~np.isfinite(some))[0][0])
                    raise TrainingError(
                        f"{name} of class {bad} is not finite. Lower optimizer.lr, lengthen "
                        "schedule.warmup_steps or set optimizer.clip_norm. The last checkpoint is "
                        "untouched."
                    )
                some = np.ascontiguousarray(some)
                digest.update(some.data)
                stream.write(some.data)
            sync(stream)
        begins = 0 if (low, high) == (first, last) else begins
        end = len(header) + (high - first) * size
        written[file] = (begins, end - begins, digest.hexdigest())
    return written


def read(folder, name, classes, start, stop, files=None):
    """Yield (class of the first row, rows) of classes `start` to `stop`, a slice at a time.

    Parameters
    ----------
    folder : pathlib.Path
    name : str
    classes : int
        C of the stored array.
    start, stop : int
    files : dict of str to dict, optional
        File name -> ``{"sha256": ...}``; each file is checked before its first row is yielded.

    Raises
    ------
    DataError
        If a file is missing, cut short, or not what was written.
    """
    reader = RowReader(folder, name, classes, files)
    for file, first, last in file_names(name, classes):
        low, high = max(first, start), min(last, stop)
        if low >= high:
            continue
        rows = reader.open(file, last - first)
        for begin, end in _slices(low, high, _row_bytes(rows.shape[1:], rows.dtype)):
            some = np.array(rows[begin - first : end - first])
            if some.dtype.kind == "f" and not np.isfinite(some).all():
                raise DataError(f"{folder / file} holds values that are not finite")
            yield begin, some


class RowReader:
    """The rows of any classes of a stored array.

    Parameters
    ----------
    folder, name, classes, files
        As of `read`.
    """

    def __init__(self, folder, name, classes, files=None):
        self.folder, self.name, self.classes, self.files = folder, name, classes, files
        self._open = {}

    def take(self, ids):
        """Return the rows of some classes, (len(ids), ...)."""
        names = file_names(self.name, self.classes)
        result = None
        for block in np.unique(ids // BLOCK):
            file, first, last = names[block]
            rows = self.open(file, last - first)
            if result is None:
                result = np.empty((len(ids), *rows.shape[1:]), rows.dtype)
            here = ids // BLOCK == block
            result[here] = rows[ids[here] - first]
        return result

    def open(self, file, count):
        """Return a file's rows, mapped into memory, after checking its checksum."""
        if file in self._open:
            return self._open[file]
        path = self.folder / file
        try:
            if self.files is not None and sha256(path) != self.files[file]["sha256"]:
                raise DataError(f"{path} is damaged: its SHA-256 is not the one in manifest.json")
            rows = np.load(path, mmap_mode="r", allow_pickle=False)
        # Of a damaged header NumPy raises nearly anything, SyntaxError among it.
        except Exception as error:
            if isinstance(error, DataError):
                raise
            reason = str(error)[:300]
            raise DataError(f"{path} of the checkpoint cannot be read: {reason}") from error
        if not isinstance(rows, np.ndarray) or rows.dtype.kind not in "fiu" or not rows.ndim:
            raise DataError(f"{path} does not hold rows of numbers")
        if len(rows) != count:
            raise DataError(f"{path} has {len(rows)} rows, {count} were expected")
        self._open[file] = rows
        return rows


def _header(shape, dtype):
    """Return the bytes before the numbers of a .npy file."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        stream,
        {
            "descr": np.lib.format.dtype_to_descr(np.dtype(dtype)),
            "fortran_order": False,
            "shape": tuple(int(n) for n in shape),
        },
    )
    return stream.getvalue()


def _row_bytes(row_shape, dtype):
    return int(np.prod(row_shape, dtype=np.int64)) * np.dtype(dtype).itemsize


def _slices(low, high, row_bytes):
    step = max(1, SLICE_BYTES // max(1, row_bytes))
    for begin in range(low, high, step):
        yield begin, min(high, begin + step)
