"""The small text files beside the images: lists, pairs, landmarks, maps, and our reports."""

import csv
import pathlib

from ..errors import DataError, InputError
from ..files import atomic_write

__all__ = ["comma_fields", "read_text", "write_table"]


def read_text(path):
    """Return a UTF-8 file's text, without a byte order mark.

    Raises
    ------
    InputError
        If the file cannot be read.
    DataError
        If it is not text.
    """
    try:
        text = pathlib.Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not a text file ({error.reason})") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise DataError(f"{path} is not a text file (line {line} holds a zero byte)")
    return text


def comma_fields(line):
    """Return the fields of a line of CSV, or the whole line where it is none."""
    try:
        return next(csv.reader([line]))
    except csv.Error:  # longer than 128 KiB
        return [line]


def write_table(path, head, rows):
    """Write a table as CSV, whole or not at all.

    Parameters
    ----------
    path : str or pathlib.Path
    head : tuple of str, optional
        Names of the columns.
    rows : iterable of tuple
    """
    # A file name that is no UTF-8 comes as surrogates and goes as the bytes that it was.
    text = {"encoding": "utf-8", "errors": "surrogateescape", "newline": ""}
    with atomic_write(path, "w", **text) as file:
        writer = csv.writer(file, lineterminator="\n")
        if head is not None:
            writer.writerow(head)
        writer.writerows(rows)
