"""Tables of pairs: lists whose first line names their columns."""

from __future__ import annotations

import re
import typing

from ....errors import DataError, InputError, shown_text
from .face_pairs import common_group
from .pair_list import Lines, PairRows, has_suffix, is_whole, lfw_image, read_label

__all__ = ["is_head", "parse_table"]

# What a column is called, in lower case and without "_", "-" and blanks.
_IMAGES = ("first", "img1", "image1", "path1", "p1", "file1", "photo1", "filename1", "imagepath1")
_COLUMNS = {
    "first": _IMAGES,
    "second": ("second", *(name[:-1] + "2" for name in _IMAGES[1:])),
    "same": ("same", "issame", "label", "match", "target"),
    "fold": ("fold",),
}
_GROUP = ("group", "race", "subgroup")
_GROUPS = (("att1", "att2"), ("a1", "a2"), ("e1", "e2"), ("group1", "group2"), ("race1", "race2"))
_KAGGLE = ["name", "imagenum1"]


def _plain(name):
    return re.sub(r"[\s_-]", "", name).lower()


def is_head(fields: typing.Sequence[str]) -> bool:
    """Return whether the first line of a list names columns: no field is an image or a number."""
    return (
        len(fields) > 1
        and not any(has_suffix(field) for field in fields)
        and not any(is_whole(field.lstrip("-")) for field in fields)
    )


def parse_table(
    lines: Lines,
    path: str,
    columns: dict[str, str] | None = None,
    group: list[str] | None = None,
) -> PairRows:
    """Return the pairs of a table.

    Parameters
    ----------
    lines : list of (int, tuple of str)
        The head first.
    path : str
        For messages.
    columns : dict of str to str, optional
        Which column is "first", "second", "same", "fold" or "group", where names do not tell.
    group : list of str, optional
        The column of the pairs' groups, or the two of the images' groups.

    Raises
    ------
    InputError
        A column that is not there, or can be one of several: all are listed.
    DataError
        A line that has too few fields, or a label that is none; it is named.
    """
    head = lines[0][1]
    if [_plain(name) for name in head[:2]] == _KAGGLE and not columns:
        return _parse_kaggle(lines, path)
    columns = dict(columns or {})
    if "group" in columns and not group:
        group = columns.pop("group").split("+")
    unknown = sorted(set(columns) - set(_COLUMNS))
    if unknown:
        raise InputError(
            f"columns: {shown_text(', '.join(unknown))} is no column of pairs; they are "
            f"{', '.join((*_COLUMNS, 'group'))}"
        )
    place = {key: _find(head, key, columns.get(key), path) for key in _COLUMNS}
    sides, notes = _group_places(head, group, path)
    rows = PairRows("table", notes=notes)
    rows.fold = [] if place["fold"] is not None else None
    rows.group = [] if sides else None
    needed = max(value for value in (*place.values(), *sides) if value is not None)
    for number, fields in lines[1:]:
        if len(fields) <= needed or len(fields) > len(head):
            raise DataError(
                f"{path}: line {number} has {len(fields)} fields; the first line names "
                f"{len(head)}: {_listed(head)}"
            )
        same = read_label(fields[place["same"]])
        first, second = fields[place["first"]], fields[place["second"]]
        if same is None or not first or not second:
            raise DataError(
                f"{path}: line {number} has {shown_text(fields[place['same']])!r} in the column "
                f"{shown_text(head[place['same']])!r} and the images "
                f"{shown_text(first)!r} and {shown_text(second)!r}; two images and 1 or 0 "
                "were expected"
            )
        rows.add(number, first, second, same)
        if rows.fold is not None:
            fold = fields[place["fold"]]
            if not is_whole(fold):
                raise DataError(
                    f"{path}: line {number} has the fold {shown_text(fold)!r}; a number expected"
                )
            rows.fold.append(int(fold))
        if rows.group is not None:
            values = [fields[side] for side in sides]
            if not all(values):
                raise DataError(f"{path}: line {number} has an empty group")
            rows.group.append(values[0] if len(values) == 1 else common_group(*values))
    return rows


def _find(head, key, named, path):
    """Return the place of a column; None for a fold that is not there."""
    if named is not None:
        return _named(head, named, path)
    found = [place for place, name in enumerate(head) if _plain(name) in _COLUMNS[key]]
    if len(found) == 1 or (key == "fold" and not found):
        return found[0] if found else None
    what = {"first": "the first image", "second": "the second image", "same": "the label"}
    state = "several columns may be" if found else "no column is known to be"
    raise InputError(
        f"{path}: {state} {what.get(key, f'the {key}')}; its columns are {_listed(head)}. Name it "
        f"with columns {key}=NAME (--columns {key}=NAME)"
    )


def _named(head, name, path):
    found = [place for place, one in enumerate(head) if one == name]
    found = found or [place for place, one in enumerate(head) if one.lower() == name.lower()]
    if len(found) != 1:
        raise InputError(
            f"{path} has {'no' if not found else 'several'} columns "
            f"{shown_text(name)!r}; its columns are {_listed(head)}"
        )
    return found[0]


def _group_places(head, group, path):
    """Return the places of the columns of groups, none to two, and notes."""
    if group:
        if len(group) > 2:
            raise InputError(
                f"group is {shown_text(', '.join(group))}: one column of the pairs' groups or two "
                "of the images' groups were expected"
            )
        return [_named(head, name, path) for name in group], []
    plain = [_plain(name) for name in head]
    choices = [[plain.index(name)] for name in _GROUP if plain.count(name) == 1]
    choices += [
        [plain.index(one), plain.index(two)]
        for one, two in _GROUPS
        if plain.count(one) == plain.count(two) == 1
    ]
    if len(choices) > 1:
        named = "; ".join(" and ".join(head[place] for place in choice) for choice in choices)
        return [], [
            f"several columns may be the groups ({shown_text(named)}); name one with --group"
        ]
    return (choices[0] if choices else []), []


def _listed(head):
    return shown_text(", ".join(name or "(unnamed)" for name in head), 500)


def _parse_kaggle(lines, path):
    """Return the pairs of Kaggle's LFW tables: ``name,imagenum1,imagenum2,`` and its relatives."""
    head = [_plain(name) for name in lines[0][1]]
    two = head == ["name", "imagenum1", "name", "imagenum2"]  # the table of mismatches
    one = head == ["name", "imagenum1", "imagenum2"]
    if not one and not two:
        raise InputError(
            f"{path}: its columns are {_listed(lines[0][1])}; LFW's tables on Kaggle have "
            "name,imagenum1,imagenum2 or name,imagenum1,name,imagenum2"
        )
    rows = PairRows("lfw")
    for number, fields in lines[1:]:
        counts = (4,) if two else (3, 4)
        if len(fields) not in counts or not is_whole(fields[1]) or not is_whole(fields[-1]):
            raise DataError(
                f"{path}: line {number} is {','.join(fields)[:60]!r}; `NAME,n1,NAME,n2`"
                f"{'' if two else ' or `NAME,n1,n2`'} was expected"
            )
        name, place = (fields[0], fields[2]) if len(fields) == 3 else fields[2:]
        rows.add(number, lfw_image(*fields[:2]), lfw_image(name, place), len(fields) == 3)
    return rows
