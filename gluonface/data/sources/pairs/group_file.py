"""Groups of pairs from a CSV file of their own: by pair, by image or by person."""

from __future__ import annotations

import posixpath

from ....errors import DataError, InputError, shown_text
from ....files import StrPath
from ...text_files import numbered_lines
from .face_pairs import FacePairs, common_group
from .pair_list import split_lines

__all__ = ["read_groups", "read_pair_groups"]

_PATHS = ("path", "file_name", "filename", "image", "img", "image_path", "file")
_PEOPLE = ("identity", "person", "subject", "name", "id")
_GROUPS = ("group", "race", "subgroup")


def read_groups(path: StrPath, pairs: FacePairs) -> list[str]:
    """Return the group of each pair.

    Parameters
    ----------
    path : str or pathlib.Path
        A table. A line a pair, in the pairs' order, with a column ``group``, or ``group1`` and
        ``group2`` of the two images. Or a line an image, with ``path`` and ``group``. Or a line a
        person, with ``identity`` (the name of the folder of an image) and ``group``.
    pairs : FacePairs

    Raises
    ------
    InputError
        When the columns are others; they are listed.
    DataError
        When lines are broken, or a pair, image or person has no group.
    """
    head, lines = _read(path)
    of_path, of_person = _place(head, _PATHS), _place(head, _PEOPLE)
    if of_path is None and of_person is None:
        return read_pair_groups(path, len(pairs))
    key, group = of_path if of_path is not None else of_person, _place(head, _GROUPS)
    if group is None:
        raise InputError(
            f"{path} has no column group; its columns are {shown_text(', '.join(head), 500)}"
        )
    known: dict[str, str] = {}
    for number, fields in lines:
        if not fields[key] or not fields[group]:
            raise DataError(f"{path}: line {number} has an empty {shown_text(head[key])} or group")
        name = fields[key].replace("\\", "/").strip("/")
        if known.setdefault(name, fields[group]) != fields[group]:
            raise DataError(f"{path}: line {number} gives {shown_text(name)} a second group")
    of_image: list[str] = []
    for number in range(pairs.num_images):
        image = pairs.image_name(number).replace("\\", "/")
        found = _of_image(image, known) if of_path is not None else _of_person(image, known)
        if found is None:
            raise DataError(f"{path} has no group of {image}, which is in pairs of {pairs.name}")
        of_image.append(found)
    return [common_group(of_image[a], of_image[b]) for a, b in pairs.sides.tolist()]


def read_pair_groups(path: StrPath, count: int) -> list[str]:
    """Return the groups of a table with a line for each of `count` pairs; see `read_groups`."""
    head, lines = _read(path)
    one = _place(head, _GROUPS)
    sides = [_place(head, [f"{name}{side}" for name in _GROUPS]) for side in (1, 2)]
    places = [one] if one is not None else sides
    if None in places:
        raise InputError(
            f"{path} has no column group, nor group1 and group2; its columns are "
            f"{shown_text(', '.join(head), 500)}"
        )
    if len(lines) != count:
        raise DataError(f"{path} has {len(lines)} lines below its head; there are {count} pairs")
    found = []
    for number, fields in lines:
        values = [fields[place] for place in places]  # type: ignore[index]
        if not all(values):
            raise DataError(f"{path}: line {number} has an empty group")
        found.append(values[0] if one is not None else common_group(*values))
    return found


def _read(path):
    lines = numbered_lines(path)
    if lines and any(mark in lines[0][1] for mark in "\t;,"):
        lines = split_lines(lines)
    else:  # one column, whose values may hold blanks
        lines = [(number, [line.strip()]) for number, line in lines]
    if len(lines) < 2:
        raise DataError(f"{path} holds no groups: a head, and a line a pair, image or person")
    head = [name.lower() for name in lines[0][1]]
    for number, fields in lines[1:]:
        if len(fields) != len(head):
            raise DataError(
                f"{path}: line {number} has {len(fields)} fields; the first line names {len(head)}"
            )
    return head, lines[1:]


def _place(head, names):
    return next((head.index(name) for name in names if name in head), None)


def _of_image(image, known):
    """Return the group of an image whose path ends with a known one, the longest first."""
    parts = image.split("/")
    for start in range(len(parts)):
        found = known.get("/".join(parts[start:]))
        if found is not None:
            return found
    return None


def _of_person(image, known):
    """Return the group of the person whose folder, or whose folder's path, holds the image."""
    return _of_image(posixpath.dirname(image), known) or next(
        (known[part] for part in reversed(posixpath.dirname(image).split("/")) if part in known),
        None,
    )
