"""What the columns of a list of images mean, decided over the whole list."""

from __future__ import annotations

import csv
import dataclasses
import re
import typing

import numpy as np

from ...errors import DataError, InputError
from ..text_files import numbered_lines
from .photo_folder import SUFFIXES

__all__ = [
    "IDENTITY_COLUMNS",
    "ImageTable",
    "choose_column",
    "read_image_table",
    "shorten",
    "whole_labels",
]

PATH_COLUMNS = (
    "path", "file_name", "filename", "image", "img", "image_path", "image_id", "file", "Id"
)  # fmt: skip
IDENTITY_COLUMNS = (
    "identity", "person", "subject", "name", "label", "class", "class_id", "id", "celeb_id",
    "target",
)  # fmt: skip
GROUP_COLUMNS = ("group", "race", "subgroup")
_PATHS = (*SUFFIXES, ".tif", ".tiff", ".gif", ".jfif")  # suffixes that show which field is the path
_SUFFIX = re.compile(rf"({'|'.join(map(re.escape, _PATHS))})(?=\s|$)", re.IGNORECASE)
_DEMOGPAIRS = ["db_code", "image_path"]  # a table without identities: they are the folders
_SPLITS = {"train", "test", "val", "valid", "validation", "dev", "eval"}
_ASK = "say which: --columns path=NAME,identity=NAME (columns=), a name or a number from 1"


@dataclasses.dataclass
class ImageTable:
    """A list of images.

    Attributes
    ----------
    lines : list of int
        Numbers of the lines.
    paths : list of str
    identities : list of (str or None) or None
        None: the list has none, and the folder above each file is the person. An element is None
        where the label is -1, for nobody.
    groups : list of str or None
    points : numpy.ndarray or None
        Landmarks, float32 (n, 5, 2).
    """

    lines: list[int]
    paths: list[str]
    identities: list[str | None] | None
    groups: list[str] | None = None
    points: np.ndarray | None = None


def read_image_table(
    path, columns: typing.Mapping[str, str], group: typing.Sequence[str] | None = None
) -> ImageTable:
    """Read a list of images: a line per image, with or without a header.

    Parameters
    ----------
    path : str or pathlib.Path
        Fields are parted by tabs, semicolons, commas (as CSV quotes them) or blanks. Without a
        header: ``path label``, ``number label ... path`` (im2rec), ``number path label``,
        ``path label x1 y1 .. x5 y5``, or ``path`` alone.
    columns : dict of str to str
        Names, or numbers from 1, of the columns ``path``, ``identity`` and ``group``.
    group : sequence of str, optional
        Names of the columns of the group.

    Raises
    ------
    DataError
        Names the line that does not fit the others.
    InputError
        When the columns have to be named; it lists them.
    """
    lines = numbered_lines(path)
    if not lines:
        raise DataError(f"{path} lists no images")
    rows = _split(lines, bool(columns))
    head = None
    if not any(map(_is_path, rows[0][1])) and not all(field.isdigit() for field in rows[0][1]):
        head = rows[0][1]
        rows = rows[1:]
        if not any(_is_path(field) for _, row in rows[:1000] for field in row) and not columns:
            _require_head(head, path)
    if not rows:
        raise DataError(f"{path} lists no images, only a header: {shorten(head or ())}")
    if head is not None:
        return _with_header(head, rows, columns, group, path)
    return _without_header(rows, columns, group, path)


def shorten(names: typing.Iterable[str], most: int = 500) -> str:
    """Return names parted by commas, cut off where they are long."""
    text = ", ".join(names)
    return text if len(text) <= most else f"{text[:most]}..."


def _is_path(field):
    return field.lower().endswith(_PATHS)


def _split(lines, by_words):
    """Return (number of the line, fields) of each line, parted alike in all of them.

    `by_words`: no name holds blanks, for the user counts the columns.
    """
    for separator in "\t;,":
        if all(separator in line for _, line in lines):
            rows = _by(separator, lines)
            header_only = len(lines) == 1 and not _SUFFIX.search(lines[0][1])
            if separator == "\t" or header_only:
                return rows
            if _one_path_each(rows) and not _is_name(separator, lines, rows):
                return rows
            # "Lee, Ann/1.jpg,7" without quotes: the last comma parts
            parts = [(number, line.rsplit(separator, 1)) for number, line in lines]
            if all(_is_path(path.strip()) for _, (path, _) in parts):
                return [(number, [field.strip() for field in row]) for number, row in parts]
    words = [(number, line.split()) for number, line in lines]
    head = words[0][1]
    if by_words or (
        not any(map(_is_path, head)) and all(len(row) == len(head) for _, row in words)
    ):
        return words  # a header says how many fields there are; else names may hold blanks
    return [(number, _by_blanks(line)) for number, line in lines]


def _by(separator, lines):
    if separator == "\t" and not any('"' in line for _, line in lines):
        parts = [line.split("\t") for _, line in lines]
    else:
        try:
            parts = list(
                csv.reader([line for _, line in lines], delimiter=separator, skipinitialspace=True)
            )
        except csv.Error:
            parts = [line.split(separator) for _, line in lines]
        if len(parts) != len(lines):  # a quote that is not closed joins lines
            parts = [line.split(separator) for _, line in lines]
    return [(number, [field.strip() for field in row]) for (number, _), row in zip(lines, parts)]


def _is_name(separator, lines, rows):
    """Return whether the separator parts a name: "Lee, Ann/1.jpg", with nothing after the path."""
    return separator == "," and all(
        _is_path(row[-1]) and ", " in line and '"' not in line
        for (_, line), (_, row) in zip(lines, rows)
    )


def _one_path_each(rows):
    """Return whether some column is a path in every row but the first, which may be a header."""
    body = rows if any(map(_is_path, rows[0][1])) else rows[1:] or rows
    width = min(len(row) for _, row in rows)
    return any(all(_is_path(row[column]) for _, row in body) for column in range(width))


def _by_blanks(line):
    """Split at blanks; the name of an image may hold some, and ends with its suffix."""
    words = line.split()
    number = bool(words) and re.fullmatch(r"[0-9]+", words[0])
    for end in _SUFFIX.finditer(line):
        start = 0
        before = []
        if number and len(words) > 1:
            # Numbers in front: im2rec's and InsightFace's; a name does not begin with them.
            found = re.match(r"\s*(?:[0-9]+(?:\.[0-9]*)?\s+)+(?=\S)", line)
            if found and found.end() < end.end():
                start, before = found.end(), found[0].split()
        name = line[start : end.end()].strip()
        rest = line[end.end() :].split()
        if any(_is_path(word) for word in rest):
            break  # two images: words are fields
        return [*before, name, *rest]
    return words


def _require_head(head, path):
    """Raise InputError when a first line without images is no header that is known."""
    names = [name.lower() for name in head]
    if not any(name.lower() in names for name in PATH_COLUMNS):
        raise InputError(
            f"{path} is a text file, but no list of images: no field of its first lines ends with "
            f"{', '.join(SUFFIXES)}, and no column ({shorten(head)}) is called "
            f"{', '.join(PATH_COLUMNS)}; {_ASK}"
        )


def choose_column(names: typing.Sequence[str], known: typing.Sequence[str]) -> list[str]:
    """Return those of `names` that are among `known`, in any case, in the order of `known`."""
    found = []
    for one in known:
        for name in names:
            same = name == one if one == "Id" else name.lower() == one and name != "Id"
            if same and name not in found:
                found.append(name)
    return found


def _place(name, head, width, path):
    """Return the number of a column that the user names."""
    if head is not None and name in head:
        if head.count(name) > 1:
            raise InputError(f"{path}: {head.count(name)} columns are called {name}")
        return head.index(name)
    if name.isdigit() and 1 <= int(name[:6]) <= width:
        return int(name) - 1
    there = shorten(head) if head is not None else f"1 to {width}"
    raise InputError(f"{path} has no column {name[:100]}; there are {there}")


def _with_header(head, rows, columns, group, path):
    width = len(head)
    while width and not head[width - 1]:
        width -= 1
    there = f"{path} has the columns {shorten(head)}"
    named = columns.get("path") or columns.get("image")
    if named:
        at = _place(named, head, width, path)
    else:
        found = choose_column(head, PATH_COLUMNS)
        if not found:
            raise InputError(f"{there}; none is a known name of the path of an image: {_ASK}")
        at = head.index(found[0])
    who: int | None = None
    if columns.get("identity"):
        who = _place(columns["identity"], head, width, path)
    elif not named and [name.lower() for name in head[:width]] != _DEMOGPAIRS:
        found = [name for name in choose_column(head, IDENTITY_COLUMNS) if head.index(name) != at]
        if len(found) != 1:
            several = " and ".join(found) if found else "none"
            raise InputError(f"{there}; {several} may be the identity: {_ASK}")
        who = head.index(found[0])
    if who == at:
        raise InputError(f"{path}: the column {head[at]} cannot be both path and identity")
    last = max(at, who or 0)
    for number, row in rows:
        if len(row) <= last or not row[at]:
            raise DataError(
                f"{path}: line {number} has {len(row)} fields, or no path; the header has {width}: "
                f"{shorten(head)}"
            )
    identities = None if who is None else whole_labels([row[who] for _, row in rows], rows, path)
    if not group and not columns.get("group"):
        found = choose_column(head, GROUP_COLUMNS)
        group = found if len(found) == 1 else None
    else:
        group = [columns["group"]] if columns.get("group") else group
    groups = None
    if group:
        places = [_place(name, head, width, path) for name in group]
        groups = [" | ".join(row[p] if p < len(row) else "" for p in places) for _, row in rows]
    return ImageTable([n for n, _ in rows], [row[at] for _, row in rows], identities, groups)


def _without_header(rows, columns, group, path):
    width = min(len(row) for _, row in rows)
    if group:
        raise InputError(f"{path} has no header, so no column {', '.join(group)} for the group")
    if columns:
        at = _place(columns.get("path") or columns.get("image") or "1", None, width, path)
        who = _place(columns["identity"], None, width, path) if "identity" in columns else None
        return _table(rows, at, who, path)
    widest = max(len(row) for _, row in rows)
    places = [place for place in range(width) if all(_is_path(row[place]) for _, row in rows)]
    if width < widest and all(_is_path(row[-1]) for _, row in rows):
        places.append(-1)  # im2rec with labels of several lengths
    if len(places) > 1:
        raise InputError(
            f"{path} names two images a line: it is a list of pairs, not of images with identities"
        )
    if not places:
        _raise_unlike(rows, path)
    at = places[0]
    last = at == -1 or all(at == len(row) - 1 for _, row in rows)
    if widest == 1:
        return _table(rows, 0, None, path)
    if width == widest == 2:
        who = 1 - at % 2 if at >= 0 else 0
        if who == 0:
            _require_no_numbering(rows, path)
        return _table(rows, at, who, path)
    if at == 0:  # DeepGlint: the label, then landmarks
        short = next(((number, row) for number, row in rows if len(row) < 2), None)
        if short is not None:
            raise DataError(
                f"{path}: line {short[0]} is {short[1][0][-60:]!r}, without an identity; "
                f"line {rows[0][0]} has {len(rows[0][1])} fields"
            )
        landmarks = width == widest == 12
        who = 1 if landmarks else _identity_column(rows, 1, range(1, width), path)
        if who == 1:
            _require_numbers_after(rows, 2, path)
        table = _table(rows, 0, who, path)
        if landmarks:
            table.points = np.array([row[2:] for _, row in rows], np.float32).reshape(-1, 5, 2)
        return table
    if not all(re.fullmatch(r"-?[0-9]+(\.0*)?", row[0]) for _, row in rows):
        raise InputError(f"{path} has {widest} columns without a header; {_ASK}")
    if last and width >= 3:  # im2rec
        return _table(rows, -1, _identity_column(rows, 1, (0, 1), path), path)
    if at == 1 and width >= 3:  # CVLface, InsightFace
        return _table(rows, 1, _identity_column(rows, 2, (0, *range(2, width)), path), path)
    raise InputError(f"{path} has {widest} columns without a header; {_ASK}")


def _identity_column(rows, usual, columns, path):
    """Return the column of the identity: the usual one, unless the whole list says otherwise.

    A column that has one value in all rows, or the names of splits, is no identity where another
    column could be one: MagFace's lists are ``path 0 label 0``.

    Raises
    ------
    InputError
        When several columns may be the identity.
    """
    values = {c: {row[c] for _, row in rows} for c in columns}
    able = [
        c
        for c, found in values.items()
        if len(found) > 1
        and not {value.lower() for value in found} <= _SPLITS
        # a numbering of the images, coordinates and scores are no identities
        and not (c == 0 and len(found) == len(rows))
        and not any("." in value.rstrip("0").rstrip(".") for value in found)
    ]
    if able == [usual] or len(rows) == 1:
        return usual
    if len(able) == 1 and usual == 1 and 0 not in able:
        return able[0]
    if not able and not {value.lower() for value in values[usual]} <= _SPLITS:
        return usual  # one person
    # Numbers after the label of CVLface and im2rec are boxes and further labels.
    if usual in able and 0 in values:
        return usual
    _, first = rows[0]
    raise InputError(
        f"{path} has {len(first)} columns without a header, and the identity may be in "
        + (f"{' or '.join(str(c + 1) for c in able)}" if able else "none of them")
        + f" (line {rows[0][0]} is {' '.join(first)[:60]!r}); {_ASK}"
    )


def _table(rows, at, who, path):
    identities = None if who is None else whole_labels([row[who] for _, row in rows], rows, path)
    return ImageTable([n for n, _ in rows], [row[at] for _, row in rows], identities)


def _raise_unlike(rows, path):
    """Raise DataError that names the first line without a path where most have one."""
    for number, row in rows:
        if not any(map(_is_path, row)):
            raise DataError(
                f"{path}: line {number} is {' '.join(row)[:60]!r}; no field of it ends with "
                f"{', '.join(SUFFIXES)}: a path and an identity were expected"
            )
    number, row = next(
        ((n, r) for n, r in rows if [*map(_is_path, r)] != [*map(_is_path, rows[0][1])]), rows[0]
    )
    raise DataError(
        f"{path}: line {number} is {' '.join(row)[:60]!r}, whose path is in another field than "
        f"line {rows[0][0]}; the same columns were expected in all lines"
    )


def _require_no_numbering(rows, path):
    """Refuse ``number path`` where the numbers count the images: they are no identities."""
    numbers = [row[0] for _, row in rows]
    if len(rows) > 2 and all(n.isdigit() for n in numbers) and len(set(numbers)) == len(numbers):
        raise InputError(
            f"{path} has another number for each of its {len(rows)} images; if they are identities "
            "say --columns identity=1,path=2, if the folder is the person --columns path=2"
        )


def _require_numbers_after(rows, start, path):
    for number, row in rows:
        try:
            values = [float(field) for field in row[start:]]
        except ValueError:
            values = [float("nan")]
        if not np.isfinite(values).all():
            raise InputError(
                f"{path}: line {number} has {len(row)} fields, and after two of them other things "
                f"than numbers; {_ASK}"
            )


def whole_labels(labels: list[str], rows, path) -> list[str | None]:
    """Return labels as keys: im2rec's ``3.000000`` is 3, -1 is nobody, text stays as it is."""
    for (number, _), label in zip(rows, labels):
        if not label:
            raise DataError(f"{path}: line {number} has no identity")
    numbers = all(re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", label) for label in labels)
    if numbers and any("." in label for label in labels):
        for (number, _), label in zip(rows, labels):
            if label.partition(".")[2].strip("0"):
                raise DataError(
                    f"{path}: line {number} has the label {label[:60]}; a whole number was expected"
                )
        labels = [label.partition(".")[0] for label in labels]
    return [None if label in ("-1", "-1.0") else label for label in labels]
