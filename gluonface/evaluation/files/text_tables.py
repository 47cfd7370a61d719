"""Text files of the protocols: columns of whole numbers, lists of names. Errors name the line."""

import csv
import pathlib

import numpy as np

from ...data.text_files import read_text, whole_number
from ...errors import DataError, InputError
from ...files import parse_json, require_no_stand_in

__all__ = [
    "line_of_row",
    "line_of_template",
    "read_fields",
    "read_integers",
    "read_json",
    "read_lines",
    "read_template_subjects",
    "require_file",
]

_BYTES = 1 << 24  # read at a time


def require_file(path, what):
    """Return `path` as a Path if it is a file; else InputError saying that `what` was expected.

    DataError when a failed download left something else in its place.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise InputError(f"there is no file {path}; {what} was expected")
    require_no_stand_in(path)
    return path


def read_lines(path, what):
    """Return the non-blank lines of a text file as (line number, text)."""
    text = read_text(require_file(path, what))
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1)]
    return [(number, line) for number, line in lines if line]


def read_fields(path, what, separators="\t", most=-1):
    """Yield (line number, text, fields) of the lines of a text file that are not comments.

    Fields stand between the first of `separators` that a line has, else between blanks; `most` is
    then the number of them, and blanks in the first belong to it.
    """
    for number, line in read_lines(path, what):
        if not line.startswith("#"):
            separator = next((mark for mark in separators if mark in line), None)
            fields = line.split(separator) if separator else line.rsplit(None, most - (most > 0))
            yield number, line, [field.strip() for field in fields]


def line_of_row(path, row):
    """Return the number of the line with row `row` (from 0) of a table; blank lines hold none."""
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            row -= bool(line.strip())
            if row < 0:
                return number
    raise IndexError(f"{path} has fewer rows")


def read_json(path, what):
    """Return the content of a JSON file."""
    return parse_json(require_file(path, what).read_bytes().removeprefix(b"\xef\xbb\xbf"), path)


def read_integers(path, columns, what):
    """Read rows of `columns` whole numbers (not negative) separated by blanks or tabs.

    IJB-C's list of pairs has 15.7 million lines; they are parsed as arrays of bytes.

    Parameters
    ----------
    path : str or pathlib.Path
    columns : int
    what : str
        What a row is, for errors.

    Returns
    -------
    list of numpy.ndarray, shape (n,), int32
        The columns.
    """
    blocks, rest, lines = [], b"", 0
    with open(require_file(path, f"a list of {what}"), "rb") as file:
        while True:
            data = file.read(_BYTES)
            if not data:
                data, rest = rest, b""
                if not data:
                    break
                data += b"\n"
            else:
                data = rest + data
                cut = data.rfind(b"\n") + 1
                data, rest = data[:cut], data[cut:]
            block = _parse(np.frombuffer(data, np.uint8), columns)
            if block is None:
                block = _parse_slowly(data, columns, path, lines, what)
            blocks.append(block)
            lines += data.count(b"\n")
    if not sum(map(len, blocks)):
        raise DataError(f"{path} is empty; expected lines of {what}")
    return [np.concatenate([block[:, column] for block in blocks]) for column in range(columns)]


def _parse(data, columns):
    """Return int32 (n, columns), or None for anything but digits in lines of `columns`."""
    blank = data <= 32
    change = np.flatnonzero(blank[1:] != blank[:-1]) + 1
    if len(data) and not blank[0]:
        change = np.concatenate([[0], change])
    if not len(change):
        return np.zeros((0, columns), np.int32)
    if len(change) % 2:
        return None
    starts, ends = change[0::2], change[1::2]
    if len(starts) % columns:
        return None
    after = data[ends].reshape(-1, columns)
    inner, last = after[:, :-1], after[:, -1]
    if not (((inner == 32) | (inner == 9)).all() and ((last == 10) | (last == 13)).all()):
        return None
    length = ends - starts
    if length.max() > 9:
        return None
    value = np.zeros(len(starts), np.int32)
    for place in range(int(length.max())):
        digit = data[np.minimum(starts + place, len(data) - 1)] - np.uint8(48)
        active = place < length
        if (digit[active] > 9).any():
            return None
        np.copyto(value, value * 10 + digit, where=active)
    return value.reshape(-1, columns)


def _parse_slowly(data, columns, path, before, what):
    rows = []
    for number, line in enumerate(data.split(b"\n"), before + 1):
        fields = line.split()
        if not fields:
            continue
        numbers = [whole_number(field.decode("latin-1"), 1 << 31) for field in fields]
        if len(fields) != columns or None in numbers:
            shown = line[:80].decode("utf-8", "replace").strip()
            raise DataError(
                f"{path}, line {number}: {shown!r}; expected {columns} whole numbers: {what}"
            )
        rows.append(numbers)
    return np.array(rows, np.int32).reshape(-1, columns)


def read_template_subjects(path):
    """Read a gallery or probe list of IJB 1:N: CSV with a header, template id, subject id, ...

    A template has a row for each of its images; it is returned once.

    Returns
    -------
    templates, subjects : numpy.ndarray, shape (n,), int64
        In the order of first appearance.

    Raises
    ------
    DataError
        A row without two numbers, or a template of two subjects; the line is named.
    """
    path = require_file(path, "a CSV list of template and subject ids")
    found = {}
    for number, row in _rows(path):
        if number == 1 or not row:
            continue
        template, subject = (whole_number(field.strip()) for field in (*row, "", "")[:2])
        if template is None or subject is None:
            raise DataError(
                f"{path}, line {number}: {','.join(row)[:80]!r}; expected template id, "
                "subject id, and anything after them"
            )
        if found.setdefault(template, subject) != subject:
            raise DataError(
                f"{path}, line {number}: template {template} belongs to subject {subject} here "
                f"and to {found[template]} above"
            )
    if not found:
        raise DataError(f"{path} lists no template")
    return np.array(list(found), np.int64), np.array(list(found.values()), np.int64)


def line_of_template(path, template):
    """Return the number of the first line about a template in such a list."""
    rows = ((number, row) for number, row in _rows(path) if number > 1 and row)
    return next(number for number, row in rows if whole_number(row[0].strip()) == template)


def _rows(path):
    """Yield the number of each line of a CSV file, and its fields."""
    number = 0
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            for number, row in enumerate(csv.reader(file), 1):
                yield number, row
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}, line {number + 1}: not a line of CSV ({error})") from error
