"""Faces in a list file: a line per image with its path and its identity."""

from __future__ import annotations

import pathlib

import numpy as np

from ...errors import DataError
from ...files import StrPath
from ..text_files import numbered_lines, split_fields
from .image_files import ImageFiles

__all__ = ["ListFile", "read_list"]


class ListFile(ImageFiles):
    """The images that a list file names.

    Parameters
    ----------
    path : str or pathlib.Path
        See `read_list`.
    root : str or pathlib.Path, optional
        The folder to which the paths in the list are relative; by default that of the list.
    """

    kind = "list"

    def __init__(self, path: StrPath, root: StrPath | None = None):
        labels, names = read_list(path)
        folder = pathlib.Path(root) if root else pathlib.Path(path).parent
        super().__init__([str(folder / name) for name in names], labels)


def read_list(path: StrPath) -> tuple[np.ndarray, list[str]]:
    """Read a list of images and identities.

    Parameters
    ----------
    path : str or pathlib.Path
        A line per image, its fields separated by tabs (or, without tabs, by commas or blanks):
        im2rec's ``number label [...] path``, InsightFace's ``1 path label [...]``, or
        ``path label``. Lines that begin with ``#`` and empty ones are ignored.

    Returns
    -------
    tuple of (numpy.ndarray, list of str)
        Labels, int64, and paths.

    Raises
    ------
    DataError
        Names the line that is something else.
    """
    labels, names = [], []
    for number, line in numbered_lines(path):
        fields = _fields(line)
        first = _label(fields[0])
        if len(fields) >= 3 and first is not None and _label(fields[1]) is not None:
            label, name = _label(fields[1]), fields[-1]
        elif len(fields) >= 3 and first is not None:
            label, name = _label(fields[2]), fields[1]
        else:
            label, name = _label(fields[-1]), fields[0]
        if label is None or len(fields) < 2 or not name:
            raise DataError(
                f"{path}: line {number} is {line[:60]!r}; `number<tab>label<tab>path` or "
                "`path<tab>label` was expected, the label a whole number from 0"
            )
        labels.append(label)
        names.append(name)
    if not labels:
        raise DataError(f"{path} lists no images")
    return np.array(labels, np.int64), names


def _fields(line):
    fields = split_fields(line)
    by_blanks = "\t" not in line and "," not in line
    if not by_blanks or (len(fields) > 2 and None not in map(_label, fields[:2])):  # im2rec's
        return fields
    return line.strip().rsplit(None, 1)  # names may hold blanks


def _label(text):
    """Return a label, or None. im2rec writes whole numbers as floats."""
    try:
        value = float(text)
    except ValueError:
        return None
    return int(value) if 0 <= value < 1 << 53 and value == int(value) else None
