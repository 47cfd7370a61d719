"""Text files of users (lists, pairs, landmarks, maps) and the CSV reports that commands write."""

from __future__ import annotations

import csv
import pathlib
import typing

from ..errors import DataError, InputError
from ..files import StrPath, atomic_write, stand_in

__all__ = [
    "comma_fields",
    "decode_text",
    "numbered_lines",
    "read_text",
    "split_fields",
    "text_lines",
    "whole_number",
    "write_table",
]


def read_text(path: StrPath) -> str:
    """Return a UTF-8 file's text, without a byte order mark.

    Raises
    ------
    InputError
        If the file cannot be read.
    DataError
        If it is not text.
    """
    try:
        data = pathlib.Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    return decode_text(data, path)


def decode_text(data: bytes, name: StrPath) -> str:
    """Return the text of a UTF-8 file, without a byte order mark and with one kind of line ends.

    Raises
    ------
    DataError
        If it is not text; names the file.
    """
    what = stand_in(data)
    if what is not None:
        raise DataError(f"{name} is {what}")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{name} is not a text file ({error.reason})") from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise DataError(f"{name} is not a text file (line {line} holds a zero byte)")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def numbered_lines(path: StrPath) -> list[tuple[int, str]]:
    """Return (number from 1, line) of all lines but empty ones and those that begin with ``#``."""
    return text_lines(read_text(path))


def text_lines(text: str) -> list[tuple[int, str]]:
    """Return the lines of a text as `numbered_lines` does those of a file."""
    return [
        (number, line)
        for number, line in enumerate(text.splitlines(), start=1)
        if line.strip() and not line.lstrip().startswith("#")
    ]


def whole_number(text: str, limit: int = 1 << 63) -> int | None:
    """Return the number that ASCII digits write, or None unless it is one from 0 to `limit` - 1.

    ``str.isdigit`` is true of characters that `int` does not take, and `int` takes thousands of
    digits, blanks and underscores.
    """
    if not (text.isascii() and text.isdigit()) or len(text.lstrip("0")) > len(str(limit)):
        return None
    value = int(text.lstrip("0") or "0")
    return value if value < limit else None


def comma_fields(line: str) -> list[str]:
    """Return the fields of a line of CSV, or the whole line where it is none."""
    try:
        return next(csv.reader([line]))
    except csv.Error:  # longer than 128 KiB
        return [line]


def split_fields(line: str, separators: str = "\t,") -> list[str]:
    """Split a line at the first of `separators` that it holds, else at blanks; strip the fields."""
    for separator in separators:
        if separator in line:
            fields = comma_fields(line) if separator == "," else line.split(separator)
            return [field.strip() for field in fields]
    return line.split()


def write_table(path: StrPath, head: tuple[str, ...] | None, rows: typing.Iterable) -> None:
    """Write a table as CSV, whole or not at all.

    Parameters
    ----------
    path : str or pathlib.Path
    head : tuple of str, optional
        Names of the columns.
    rows : iterable of tuple
    """
    # Surrogates stand for the bytes of a file name that is not UTF-8; they are written as these.
    with atomic_write(path, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if head is not None:
            writer.writerow(head)
        writer.writerows(rows)
