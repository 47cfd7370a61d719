"""What every reader of a file format returns, and how it gets the bytes of a file."""

from __future__ import annotations

import dataclasses
import os
import pathlib

import numpy as np

from ..errors import InputError
from .graph import Graph

__all__ = ["Content", "read_bytes"]


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
    """Return the bytes of a file, or raise InputError."""
    try:
        return pathlib.Path(path).expanduser().read_bytes()
    except OSError as error:
        raise InputError(
            f"{path} cannot be read: {error.strerror}; expected a file of weights"
        ) from None
