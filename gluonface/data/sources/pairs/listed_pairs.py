"""Pairs of images that lie in a folder or an archive, by the names that a list gives them."""

from __future__ import annotations

import array
import hashlib
import itertools
import pathlib
import re
import typing

from ....errors import DataError, InputError, shown_text
from ....files import StrPath, sha256
from ...text_files import text_lines
from ..file_tree import FileTree, open_tree, read_list_text
from ..photo_folder import SUFFIXES
from . import pair_list, pair_table
from .face_pairs import FacePairs

__all__ = [
    "ImageFinder",
    "ListedPair",
    "make_pairs",
    "open_list",
    "open_tree_list",
    "read_rows",
]


class ListedPair(typing.NamedTuple):
    """A pair of a list: two files below the root, and what is known of them."""

    first: str
    second: str
    same: bool
    fold: int | None = None
    group: str | None = None


class ImageFinder:
    """Finds listed images below a root, and counts those that are not there.

    Parameters
    ----------
    tree : FileTree
    source : str
        The list, for messages.
    folder : str
        Where in the tree listed paths begin.
    strip : str, optional
        A prefix to cut off listed paths.
    """

    def __init__(self, tree: FileTree, source: str, folder: str = "", strip: str | None = None):
        self.tree, self.source, self.folder, self.strip = tree, source, folder, strip
        self.missing: dict[str, str] = {}  # name -> where it is listed
        self._found: dict[str, str] = {}

    def find(self, name: str, where: str) -> str:
        """Return the path of a listed image from the root of the tree.

        An image that is not there is counted; `check` tells of all of them.

        Raises
        ------
        DataError
            When the name leads out of the root.
        """
        if name not in self._found:
            found = self.search(name, where)
            if found is None:
                self.missing.setdefault(name, where)
                found = ""
            self._found[name] = found
        return self._found[name]

    def search(self, name: str, where: str = "") -> str | None:
        """Return the path of an image, None if there is none."""
        listed = name.replace("\\", "/")
        if self.strip:
            listed = listed[len(self.strip) :] if listed.startswith(self.strip) else listed
            listed = listed.lstrip("/")
        absolute = listed.startswith("/") or bool(re.match("[A-Za-z]:/", listed))
        if absolute:
            root = str(self.tree.root.resolve()) + "/"
            below = listed[len(root) :] if listed.startswith(root) else None
            path = self.tree.within(below) if below else None
            path = path or self.tree.within(re.sub("^([A-Za-z]:)?/+", "", listed), self.folder)
        else:
            path = self.tree.within(listed, self.folder)
        if path is None:
            raise DataError(
                f"{where or self.source}: {name[:80]!r} leads out of {self.tree}; a list can only "
                "name images below its root (--root)"
            )
        if not path:
            return None
        if pair_list.has_suffix(path) and self.tree.is_file(path):
            return path
        for suffix in SUFFIXES:  # LFW's form has none
            for ending in (suffix, suffix.upper()):
                if self.tree.is_file(path + ending):
                    return path + ending
        return path if self.tree.is_file(path) else None

    def check(self) -> None:
        """Raise DataError if listed images are not there: all of them, or some."""
        if not self.missing:
            return
        total, count = len(self._found), len(self.missing)
        name, where = next(iter(self.missing.items()))
        place = self.tree.place(self.folder)
        if count == total:
            raise DataError(
                f"none of the {total} images that {self.source} lists is in {place}; the first is "
                f"{shown_text(name)} ({where}). Name their folder with --root, or cut a prefix off "
                "the listed paths with --strip"
            )
        raise DataError(
            f"{count} of the {total} images that {self.source} lists are not in {place}; the first "
            f"is {shown_text(name)} ({where})"
        )


def make_pairs(
    listed: typing.Iterable[ListedPair],
    tree: FileTree,
    name: str,
    inputs: dict[str, str] | None = None,
    group_lists: bool = False,
) -> FacePairs:
    """Return the `FacePairs` of listed files; a file is one image in however many pairs it is."""
    numbers: dict[str, int] = {}
    sides, same = array.array("q"), []
    folds: list[typing.Any] = []
    groups: list[typing.Any] = []
    for pair in listed:
        for path in pair[:2]:
            sides.append(numbers.setdefault(path, len(numbers)))
        same.append(pair.same)
        folds.append(pair.fold)
        groups.append(pair.group)
    paths = list(numbers)
    return FacePairs(
        name,
        sides,
        same,
        lambda number: tree.read(paths[number]),
        lambda number: tree.place(paths[number]),
        len(paths),
        folds=None if None in folds else folds,
        groups=None if None in groups else groups,
        group_lists=group_lists,
        inputs=inputs,
    )


def open_list(
    paths: list[pathlib.Path],
    root: StrPath | None = None,
    strip: str | None = None,
    columns: dict[str, str] | None = None,
    group: list[str] | None = None,
) -> FacePairs:
    """Return the pairs of one or several lists, which are one set.

    Parameters
    ----------
    paths : list of pathlib.Path
    root : str or pathlib.Path, optional
        The folder, zip or tar of the images; by default the folder of each list.
    strip, columns, group
        As for `gluonface.data.open_pairs`.

    Raises
    ------
    InputError, DataError
        Names the list and its line.
    """
    if root is None and len({path.parent.resolve() for path in paths}) > 1:
        raise InputError("the lists are in several folders; say where their images are (--root)")
    tree = FileTree(paths[0].parent) if root is None else open_tree(root)
    listed: list[typing.Iterable[ListedPair]] = []
    notes: list[str] = []
    inputs, finders, first = {}, [], 0
    for path in paths:
        finder = ImageFinder(tree, str(path), strip=strip)
        finders.append(finder)
        rows = read_rows(text_lines(read_list_text(path)), str(path), finder, columns, group, notes)
        shift = 0 if rows.form == "table" else first  # LFW's stretches go on from list to list
        listed.append(_pairs_of(rows, finder, shift))
        first = max([first, *(fold + shift + 1 for fold in rows.fold or ())])
        inputs[str(path)] = sha256(path)
    name = paths[0].stem.split(".")[0] or paths[0].name
    pairs = make_pairs(itertools.chain.from_iterable(listed), tree, name, inputs)
    for finder in finders:
        finder.check()
    return _noted(pairs, notes)


def open_tree_list(
    tree: FileTree,
    file: str,
    root: StrPath | None = None,
    strip: str | None = None,
    columns: dict[str, str] | None = None,
    group: list[str] | None = None,
) -> FacePairs:
    """Return the pairs of a list that lies in a tree with its images, as LFW's may.

    The images are below the folder of the list, or below a folder beside it; other arguments as for
    `open_list`.
    """
    where, lines = tree.place(file), text_lines(tree.read_text(file))
    images = tree if root is None else open_tree(root)
    folders = [""]
    if root is None:
        folders += [entry for entry in tree.entries() if tree.is_folder(entry)]
    best: tuple | None = None
    for folder in folders:
        notes: list[str] = []
        finder = ImageFinder(images, where, folder, strip)
        rows = read_rows(lines, where, finder, columns, group, notes)
        listed = list(_pairs_of(rows, finder))
        if best is None or len(finder.missing) < len(best[0].missing):
            best = finder, listed, notes
        if not finder.missing:
            break
    finder, listed, notes = best  # type: ignore[misc]
    finder.check()
    digest = hashlib.sha256(tree.read(file)).hexdigest()
    return _noted(make_pairs(listed, images, pathlib.PurePath(file).stem, {where: digest}), notes)


def _noted(pairs, notes):
    for note in dict.fromkeys(notes):
        pairs.note(note)
    return pairs


def read_rows(
    lines: list[tuple[int, str]],
    path: str,
    finder: ImageFinder,
    columns: dict[str, str] | None = None,
    group: list[str] | None = None,
    notes: list[str] | None = None,
) -> pair_list.PairRows:
    """Return the pairs of a list's lines, whichever form they have.

    Raises
    ------
    InputError, DataError
        When they have none, or contradict it; the line is named.
    """
    notes = [] if notes is None else notes
    split = pair_list.split_lines(lines)
    if not split:
        raise DataError(f"{path} lists no pairs")
    if columns or group:
        rows = pair_table.parse_table(split, path, columns, group)
        notes += rows.notes
        return _some(rows, path)
    head = pair_list.lfw_head(split)
    body = split[1:] if head else split
    if not body:
        raise DataError(f"{path} lists no pairs")

    def exists(name):
        return finder.search(name, path) is not None

    form = pair_list.find_form(body, exists, path)
    if head and form == "lfw":
        rows = pair_list.parse_lines(body, form, path)
        rows.fold = _stretches(head, rows.same, path, notes)
        return rows
    if head:
        raise pair_list.refuse_lines(body if form is None else split, path)
    if form is not None:
        return pair_list.parse_lines(body, form, path)
    if pair_table.is_head(split[0][1]) and len(split) > 1:
        rows = pair_table.parse_table(split, path)
        notes += rows.notes
        return _some(rows, path)
    raise pair_list.refuse_lines(split, path)


def _some(rows, path):
    if not rows.same:
        raise DataError(f"{path} lists no pairs")
    return rows


def _stretches(head, same, path, notes):
    """Return the folds that LFW's first line describes; None, with a note, if it is not so."""
    if len(head) == 1:  # pairs of a kind, without folds
        if not (sum(same) == head[0] and len(same) == 2 * head[0]):
            notes.append(
                f"its first line says {head[0]} pairs of a kind, but there are {sum(same)} same "
                f"and {len(same) - sum(same)} different ones"
            )
        return None
    folds, count = head
    size = 2 * count
    if folds * size == len(same) and size:
        if all(sum(same[start : start + size]) == count for start in range(0, len(same), size)):
            return [place // size for place in range(len(same))]
        found = "not so many of either kind in each stretch"
    else:
        found = f"{len(same)} pairs"
    notes.append(
        f"its first line says {folds} folds of {count} same and {count} different pairs, but there "
        f"are {found}: it has no folds"
    )
    return None


def _pairs_of(rows, finder, shift=0):
    folds = rows.fold or [None] * len(rows.same)
    groups = rows.group or [None] * len(rows.same)
    columns = zip(rows.line, rows.first, rows.second, rows.same, folds, groups)
    for line, first, second, same, fold, group in columns:
        where = f"{finder.source}, line {line}"
        yield ListedPair(
            finder.find(first, where),
            finder.find(second, where),
            same,
            None if fold is None else fold + shift,
            group,
        )
