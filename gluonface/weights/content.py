"""What every reader of a file format returns, and how it gets the bytes of a file."""

from __future__ import annotations

import dataclasses
import os
import pathlib

import numpy as np

from ..errors import InputError
from ..files import require_content
from .graph import Graph

__all__ = [
    "MAX_DIMENSIONS",
    "MAX_NUMBER",
    "Content",
    "read_bytes",
]

# Of the shape of a tensor. The files of networks have 5 dimensions at most; with these limits no
# product of sizes is a number of more than a few digits.
MAX_DIMENSIONS = 8
MAX_NUMBER = 1 << 48  # of elements, or an offset


@dataclasses.dataclass
class Content:
    """What the files of a source hold, whatever their format.

    Attributes
    ----------
    arrays : dict of str to numpy.ndarray
        Under the names of the file.
    graph : Graph or None
    unused : list of str
        Arrays that the graph does not use.
    """

    arrays: dict[str, np.ndarray]
    graph: Graph | None = None
    unused: list[str] = dataclasses.field(default_factory=list)


def read_bytes(path: str | os.PathLike) -> bytes:
    """Return the bytes of a file.

    Raises
    ------
    InputError
        If it cannot be read, as a folder or a file that is not there.
    DataError
        If it is empty, a pointer of Git LFS or a web page.
    """
    try:
        content = pathlib.Path(path).expanduser().read_bytes()
    except OSError as error:
        raise InputError(
            f"{path} cannot be read: {error.strerror}; expected a file of weights"
        ) from None
    require_content(content, path)
    return content
