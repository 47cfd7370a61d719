"""Lists of pairs: which of the forms that are in use a list has, and its pairs."""

from __future__ import annotations

import collections
import csv
import dataclasses
import posixpath
import typing

from ....errors import DataError
from ..photo_folder import SUFFIXES

__all__ = ["PairRows", "find_form", "is_path", "parse_lines", "read_label"]

# Text of a label -> whether the pair is of one person.
LABELS = {"1": True, "0": False, "-1": False, "true": True, "false": False}
LABELS.update({"1.0": True, "0.0": False, "-1.0": False})

FORMS = {
    "lfw": "`NAME n1 n2` or `NAME1 n1 NAME2 n2`",
    "label first": "`1 IMAGE IMAGE` or `0 IMAGE IMAGE`",
    "label last": "`IMAGE IMAGE 1` or `IMAGE IMAGE 0`",
    "two lines": "`IMAGE LABEL`, two lines a pair",
    "folders": "`FOLDER/IMAGE`, two lines a pair",
}


@dataclasses.dataclass
class PairRows:
    """The pairs of a list, column by column.

    Attributes
    ----------
    form : str
        A key of `FORMS`, or "table".
    line : list of int
        Where each pair begins.
    first, second : list of str
        The images as the list names them.
    same : list of bool
    fold : list of int or None
    group : list of str or None
    stretches : (int, int) or None
        LFW's first line: folds, and pairs of a kind in each.
    notes : list of str
    """

    form: str
    line: list[int] = dataclasses.field(default_factory=list)
    first: list[str] = dataclasses.field(default_factory=list)
    second: list[str] = dataclasses.field(default_factory=list)
    same: list[bool] = dataclasses.field(default_factory=list)
    fold: list[int] | None = None
    group: list[str] | None = None
    notes: list[str] = dataclasses.field(default_factory=list)

    def add(self, line: int, first: str, second: str, same: bool) -> None:
        """Append a pair."""
        self.line.append(line)
        self.first.append(first)
        self.second.append(second)
        self.same.append(same)


# Number of a line and its fields. Tuples, which the garbage collector leaves alone: as lists, the
# million lines of BFW's table took twice as long.
Lines = list[tuple[int, tuple[str, ...]]]


def split_lines(lines: list[tuple[int, str]]) -> Lines:
    """Split lines into fields: at tabs, else at semicolons, else as CSV, else at blanks.

    The separator is the first that all lines have but the head, which LFW parts otherwise. Empty
    fields at the end are dropped.
    """
    body = [line for _, line in lines[1:]] or [line for _, line in lines]
    separator = next((mark for mark in "\t;," if all(mark in line for line in body)), None)
    result = []
    for number, line in lines:
        own = separator
        if own is None or own not in line:
            own = next((mark for mark in "\t;," if mark in line), None)
        if own is None:
            row = line.split()
        elif own == "\t" or '"' not in line:  # a table may have a million lines
            row = line.split(own)
        else:
            row = _csv_fields(line, own)
        fields = tuple(map(str.strip, row))
        while fields and not fields[-1]:
            fields = fields[:-1]
        result.append((number, fields))
    return result


def _csv_fields(line, separator):
    try:
        return next(csv.reader([line], delimiter=separator, skipinitialspace=True))
    except (csv.Error, StopIteration):  # longer than 128 KiB
        return [line]


def is_path(field: str) -> bool:
    """Return whether a field of a list is the path of an image."""
    return has_suffix(field) or "/" in field or "\\" in field


def has_suffix(field: str) -> bool:
    """Return whether a field ends as the name of an image does."""
    return field.lower().endswith(SUFFIXES)


def is_whole(field: str) -> bool:
    """Return whether a field is a whole number from 0, of a length that a list may have."""
    return field.isascii() and field.isdigit() and len(field) <= 18


def read_label(field: str) -> bool | None:
    """Return whether a label says "same person", None if it is none."""
    return LABELS.get(field.lower())


def _fits_lfw(fields):
    if len(fields) not in (3, 4) or not is_whole(fields[1]) or not is_whole(fields[-1]):
        return False
    return not any(has_suffix(field) for field in fields)


def _fits_label_first(fields):
    return len(fields) == 3 and read_label(fields[0]) is not None and all(map(is_path, fields[1:]))


def _fits_label_last(fields):
    return len(fields) == 3 and read_label(fields[2]) is not None and bool(fields[0] and fields[1])


def _fits_two_lines(fields):
    return len(fields) == 2 and is_path(fields[0]) and is_whole(fields[1].lstrip("-"))


def _fits_folders(fields):
    return len(fields) == 1 and "/" in fields[0].replace("\\", "/").strip("/")


_FITS: dict[str, typing.Callable[[typing.Sequence[str]], bool]] = {
    "lfw": _fits_lfw,
    "label first": _fits_label_first,
    "label last": _fits_label_last,
    "two lines": _fits_two_lines,
    "folders": _fits_folders,
}


def lfw_image(name: str, number: str) -> str:
    """Return the image of LFW's form, without its suffix."""
    return f"{name}/{name}_{int(number):04d}"


def lfw_head(lines: Lines) -> list[int] | None:
    """Return the numbers in LFW's first line; None if it is a pair or something else."""
    first = lines[0][1] if lines else []
    if len(first) not in (1, 2) or not all(map(is_whole, first)):
        return None
    return [int(field) for field in first]


def find_form(lines: Lines, exists: typing.Callable[[str], bool], path: str) -> str | None:
    """Return the form, a key of `FORMS`, that all lines have; None where there is none.

    Parameters
    ----------
    lines : list of (int, list of str)
        Without LFW's first line.
    exists : function
        Whether there is an image of this name, for lists that can be read in two ways.
    path : str
        For messages.

    Raises
    ------
    DataError
        When all lines are two images without a label.
    """
    fields = [fields for _, fields in lines]
    if all(map(_fits_lfw, fields)):
        doubtful = all(len(one) == 3 and one[2] in ("0", "1") for one in fields)
        if doubtful and not any(exists(lfw_image(*one[:2])) for one in fields):
            return "label last"
        return "lfw"
    if all(len(one) == 2 and all(map(is_path, one)) for one in fields):
        raise DataError(
            f"{path}: its {len(lines)} lines are two images each and no label (as FRCSyn's "
            "comparison files are): whether they show the same person is not in it, so nothing can "
            "be evaluated"
        )
    return next((form for form, fits in _FITS.items() if all(map(fits, fields))), None)


def parse_lines(lines: Lines, form: str, path: str) -> PairRows:
    """Return the pairs of lines of a form.

    Raises
    ------
    DataError
        An odd number of lines, or two lines of a pair that contradict each other.
    """
    rows = PairRows(form)
    if form in ("two lines", "folders"):
        _parse_twos(lines, form, path, rows)
        return rows
    for number, fields in lines:
        if form == "lfw":
            name, place = (fields[0], fields[2]) if len(fields) == 3 else fields[2:]
            rows.add(number, lfw_image(*fields[:2]), lfw_image(name, place), len(fields) == 3)
        elif form == "label first":
            rows.add(number, fields[1], fields[2], bool(read_label(fields[0])))
        else:
            rows.add(number, fields[0], fields[1], bool(read_label(fields[2])))
    return rows


def _parse_twos(lines, form, path, rows):
    if len(lines) % 2:
        raise DataError(
            f"{path}: {len(lines)} lines, two a pair ({FORMS[form]}): the last, line "
            f"{lines[-1][0]}, stands alone"
        )
    for (number, one), (after, other) in zip(lines[::2], lines[1::2]):
        if form == "folders":
            same = _folder(one[0]) == _folder(other[0])
        elif int(one[1]) != int(other[1]):
            raise DataError(
                f"{path}: lines {number} and {after} are a pair, but have the labels {one[1]} and "
                f"{other[1]}; `IMAGE LABEL` was expected twice with one label (0: different people)"
            )
        else:
            same = int(one[1]) != 0
        rows.add(number, one[0], other[0], same)


def _folder(name):
    return posixpath.dirname(posixpath.normpath(name.replace("\\", "/")))


def refuse_lines(lines: Lines, path: str) -> DataError:
    """Return the error about lines that are not all of one form: it names the first that differs.

    Which form was meant is what most lines are.
    """
    found = {form: sum(map(fits, (fields for _, fields in lines))) for form, fits in _FITS.items()}
    form = max(found, key=lambda form: found[form])
    if 2 * found[form] >= len(lines):
        number, fields = next(line for line in lines if not _FITS[form](line[1]))
        return DataError(
            f"{path}: line {number} is {' '.join(fields)[:60]!r}; {FORMS[form]} was expected, as "
            f"in {found[form]} of the {len(lines)} lines"
        )
    counts = collections.Counter(len(fields) for _, fields in lines)
    number, fields = lines[0]
    return DataError(
        f"{path}: line {number} is {' '.join(fields)[:60]!r}, and there are lines of "
        f"{', '.join(map(str, sorted(counts)))} fields; expected a list of pairs, which is "
        f"{'; '.join(FORMS.values())}; or a table whose first line names its columns"
    )
