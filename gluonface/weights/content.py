"""What every reader of a file format returns, and how it gets the bytes of a file."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import typing

import numpy as np

from ..errors import DataError, InputError
from ..files import require_content
from .graph import Graph

__all__ = [
    "MAX_DIMENSIONS",
    "MAX_NUMBER",
    "Content",
    "parse_json",
    "read_bytes",
    "shown",
    "shown_text",
]

# Of the shape of a tensor. The files of networks have 5 dimensions at most; with these limits no
# product of sizes is a number of more than a few digits.
MAX_DIMENSIONS = 8
MAX_NUMBER = 1 << 48  # of elements, or an offset
MAX_DIGITS = 20
SHOWN = 60  # characters of a value in a message


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


def parse_json(text: str | bytes) -> typing.Any:
    """Return what a JSON text of others holds.

    Raises
    ------
    DataError
        If it is none, a name stands twice in an object, a number has more than 20 digits, or it
        is nested too deeply. The file is not named.
    """

    def digits(text):
        if len(text) > MAX_DIGITS:
            raise ValueError(f"a number of {len(text)} digits")
        return int(text)

    def unique(pairs):
        found = dict(pairs)
        if len(found) != len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"the name {shown(twice)} stands twice in an object")
        return found

    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8")
        return json.loads(text, parse_int=digits, object_pairs_hook=unique)
    except RecursionError:
        raise DataError("it is nested too deeply") from None
    except ValueError as error:
        raise DataError(f"it is no JSON: {error}") from None


def shown(value: typing.Any) -> str:
    """Return a value of a file for a message: short, and nothing that a terminal obeys."""
    if isinstance(value, int) and abs(value) > 1 << 64:
        return "a number of more than 20 digits"  # Python refuses to print some
    if isinstance(value, (list, dict, tuple, set)):
        return f"a {type(value).__name__} of {len(value)}"  # it may be deep
    text = ascii(value) if isinstance(value, str) and not value.isprintable() else repr(value)
    return text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."


def shown_text(text: str, most: int = 300) -> str:
    """Return another program's message for one of ours: one short line, all of it printable."""
    line = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text[:most])
    return line if len(text) <= most else f"{line}..."
