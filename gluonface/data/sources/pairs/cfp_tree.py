"""CFP as published: lists of numbered images, and pairs of their numbers by fold."""

from __future__ import annotations

import hashlib

from ....errors import DataError, InputError
from ...text_files import text_lines
from ..file_tree import FileTree
from .face_pairs import FacePairs
from .listed_pairs import ImageFinder, ListedPair, make_pairs
from .pair_list import is_whole

__all__ = ["find_cfp", "open_cfp"]

_LISTS = {"F": "Pair_list_F.txt", "P": "Pair_list_P.txt"}


def find_cfp(tree: FileTree) -> str | None:
    """Return the folder of a tree with CFP's lists, as a path; None if there is none."""
    for folder in ("Protocol", ""):
        path = f"{folder}/" if folder else ""
        if tree.is_folder(f"{path}Split") and tree.is_file(path + _LISTS["F"]):
            return folder
    return None


def open_cfp(
    tree: FileTree,
    folder: str,
    protocol: str | None = None,
    images: FileTree | None = None,
    name: str = "cfp",
) -> FacePairs:
    """Return the pairs of a protocol: frontal-frontal or frontal-profile.

    Parameters
    ----------
    tree : FileTree
    folder : str
        As `find_cfp` returns it.
    protocol : {"FF", "FP"}, optional
        Needed where there are both.
    images : FileTree, optional
        Where the images are, if not where the lists say; their paths begin behind ``../``.
    name : str

    Raises
    ------
    InputError
        When the protocol has to be named.
    DataError
        When a list is broken or an image is missing; the line is named.
    """
    base = f"{folder}/" if folder else ""
    there = [one for one in tree.entries(f"{base}Split") if one.upper() in ("FF", "FP")]
    counts = {one: _count_pairs(tree, f"{base}Split/{one}") for one in there}
    known = ", ".join(f"{one} ({count} pairs)" for one, count in counts.items())
    if not there:
        raise DataError(f"{tree.place(base + 'Split')} has neither a folder FF nor FP")
    if protocol is None and len(there) > 1:
        raise InputError(
            f"{tree} has the protocols {known}: say which with protocol (--protocol "
            f"{' or '.join(there)}); FF compares frontal faces, FP frontal with profile ones"
        )
    chosen = [one for one in there if protocol is None or one.upper() == str(protocol).upper()]
    if not chosen:
        raise InputError(f"protocol is {protocol!r}; {tree} has {known}")
    split = f"{base}Split/{chosen[0]}"
    lists: dict[str, dict[int, str]] = {}
    inputs: dict[str, str] = {}
    for side in dict.fromkeys(chosen[0].upper()):
        lists[side] = _read_list(tree, base + _LISTS[side], inputs)
    finder = ImageFinder(images or tree, tree.place(split), "" if images else folder)
    listed = []
    for fold, name_of_fold in enumerate(_folds(tree, split)):
        for file, same in (("same.txt", True), ("diff.txt", False)):
            path = f"{split}/{name_of_fold}/{file}"
            where = tree.place(path)
            inputs[where] = hashlib.sha256(tree.read(path)).hexdigest()
            for number, line in text_lines(tree.read_text(path)):
                pair = [field.strip() for field in line.replace("\t", ",").split(",")]
                if len(pair) != 2 or not all(map(is_whole, pair)):
                    raise DataError(f"{where}: line {number} is {line[:60]!r}; `a,b` was expected")
                found = []
                for side, one in zip(chosen[0].upper(), pair):
                    image = lists[side].get(int(one))
                    if image is None:
                        raise DataError(
                            f"{where}: line {number} names image {one}, which {_LISTS[side]} does "
                            "not list"
                        )
                    if images is not None:
                        image = image.lstrip("./")
                    found.append(finder.find(image, f"{where}, line {number}"))
                listed.append(ListedPair(found[0], found[1], same, fold))
    finder.check()
    return make_pairs(listed, images or tree, f"{name}-{chosen[0].upper()}", inputs)


def _folds(tree, split):
    found = [one for one in tree.entries(split) if tree.is_folder(f"{split}/{one}")]
    if not found:
        raise DataError(f"{tree.place(split)} has no folders 01, 02, ...")
    for one in found:
        for file in ("same.txt", "diff.txt"):
            if not tree.is_file(f"{split}/{one}/{file}"):
                raise DataError(f"{tree.place(f'{split}/{one}')} has no file {file}")
    return sorted(found, key=lambda one: (not is_whole(one), int(one) if is_whole(one) else 0, one))


def _count_pairs(tree, split):
    return sum(
        len(text_lines(tree.read_text(f"{split}/{fold}/{file}")))
        for fold in _folds(tree, split)
        for file in ("same.txt", "diff.txt")
    )


def _read_list(tree, path, inputs):
    """Return the images of a list by their numbers."""
    where = tree.place(path)
    found: dict[int, str] = {}
    for number, line in text_lines(tree.read_text(path)):
        fields = line.strip().split(None, 1)
        if len(fields) != 2 or not is_whole(fields[0]):
            raise DataError(f"{where}: line {number} is {line[:60]!r}; `number path` was expected")
        if int(fields[0]) in found:
            raise DataError(f"{where}: line {number} gives the number {fields[0]} a second time")
        found[int(fields[0])] = fields[1].strip()
    inputs[where] = hashlib.sha256(tree.read(path)).hexdigest()
    return found
