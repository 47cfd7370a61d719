"""RFW as published: a list and a folder of images for each race."""

from __future__ import annotations

import hashlib

from ....errors import DataError
from ...text_files import text_lines
from ..file_tree import FileTree
from .face_pairs import FacePairs
from .listed_pairs import ImageFinder, ListedPair, make_pairs, read_rows

__all__ = ["find_rfw", "open_rfw"]


def find_rfw(tree: FileTree) -> str | None:
    """Return the folder of a tree with ``txts`` and ``data`` in it, None if there is none."""
    for folder in ("", "test/"):
        if tree.is_folder(f"{folder}txts") and tree.is_folder(f"{folder}data"):
            return folder
    return None


def open_rfw(
    tree: FileTree, folder: str, images: FileTree | None = None, name: str = "rfw"
) -> FacePairs:
    """Return the pairs of all races; the race is the group.

    Parameters
    ----------
    tree : FileTree
    folder : str
        As `find_rfw` returns it.
    images : FileTree, optional
        Where the images are, such as an aligned copy: below it, or below ``data``, are the races.
    name : str

    Raises
    ------
    DataError
        When a list is broken, or an image is missing.
    """
    lists = []
    for race in tree.entries(f"{folder}txts"):
        place = f"{folder}txts/{race}"
        if not tree.is_folder(place):
            continue
        found = [entry for entry in tree.entries(place) if entry.lower().endswith("_pairs.txt")]
        if len(found) != 1:
            raise DataError(f"{tree.place(place)} has {len(found)} files *_pairs.txt, not one")
        lists.append((race, f"{place}/{found[0]}"))
    if not lists:
        raise DataError(f"{tree.place(folder + 'txts')} has no folders with *_pairs.txt")
    listed: list[ListedPair] = []
    notes: list[str] = []
    inputs = {}
    for race, path in lists:
        where = tree.place(path)
        places = [f"{folder}data/{race}"]
        if images is not None:
            places = [race, f"data/{race}", f"test/data/{race}"]
        found = [place for place in places if (images or tree).is_folder(place)]
        if not found:
            raise DataError(
                f"{images or tree} has no folder {' or '.join(places)}; {where} was there"
            )
        finder = ImageFinder(images or tree, where, found[0])
        rows = read_rows(text_lines(tree.read_text(path)), where, finder, notes=notes)
        for line, first, second, same in zip(rows.line, rows.first, rows.second, rows.same):
            at = f"{where}, line {line}"
            listed.append(
                ListedPair(finder.find(first, at), finder.find(second, at), same, None, race)
            )
        finder.check()
        inputs[where] = hashlib.sha256(tree.read(path)).hexdigest()
    pairs = make_pairs(listed, images or tree, name, inputs, group_lists=True)
    for note in dict.fromkeys(notes):
        pairs.note(note)
    return pairs
