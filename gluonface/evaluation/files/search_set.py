"""Sets for identification as published: TinyFace, QMUL-SurvFace, CVLface's form of TinyFace."""

from __future__ import annotations

import dataclasses
import hashlib
import pathlib
import posixpath
import typing

import numpy as np

from ...data.formats.arrow_rows import is_saved_set
from ...data.formats.mat_file import flat_texts, read_mat
from ...data.sources.file_tree import FileTree, open_tree
from ...data.sources.photo_folder import SUFFIXES
from ...errors import DataError, shown_text
from ...files import StrPath
from .cvlface_sets import ImageRows, open_rows, read_metadata
from .image_list import EncodedImages

__all__ = ["SearchSet", "open_search_set"]

_ENDING = "_img_id_pairs.mat"
_FOLDERS = ("", "Testing_Set", "Face_Identification_Test_Set")


@dataclasses.dataclass
class SearchSet:
    """Probes and a gallery.

    Attributes
    ----------
    probes, gallery : EncodedImages
        The gallery's distractors are last.
    probe_ids, gallery_ids : list of str
        Identities. Each distractor, and each probe that has no mate, has one of its own.
    distractors, unmated : int
        How many images of the gallery, and how many probes, have no known identity.
    inputs : dict of str to str
        SHA-256 of the files that say who is who.
    name : str
    """

    probes: EncodedImages
    gallery: EncodedImages
    probe_ids: list[str]
    gallery_ids: list[str]
    distractors: int
    unmated: int
    inputs: dict[str, str]
    name: str


def open_search_set(path: StrPath, resize: bool = False) -> SearchSet:
    """Return the set for identification at a path.

    Parameters
    ----------
    path : str or pathlib.Path
        A folder, zip or tar with files ``*_img_ID_pairs.mat`` (variables ``*_set``, the images, and
        ``*_ids``) and a folder of images for each; folders of distractors and of unmated probes
        have none. Or CVLface's Arrow folder with ``metadata.pt``.
    resize : bool, default False
        Bring images of other sizes to 112 x 112; else they are an error.

    Raises
    ------
    InputError, DataError
        When it is none of these, or images are missing.
    """
    path = pathlib.Path(path)
    if path.is_dir() and is_saved_set(path):
        return _open_cvlface(path, resize)
    tree = open_tree(path)
    for place in (*_FOLDERS, "Face_Identification_Evaluation"):
        if not place or tree.is_folder(place):
            lists = [one for one in tree.entries(place) if one.lower().endswith(_ENDING)]
            if lists:
                return _open_lists(tree, _images_of(tree, place, lists), place, lists, path, resize)
    raise DataError(
        f"{path} is no set for identification: it has no files *_img_ID_pairs.mat, as TinyFace and "
        f"SurvFace have, and no state.json; it holds {', '.join(tree.entries()[:8]) or 'nothing'}"
    )


def _join(folder, name):
    return f"{folder}/{name}" if folder else name


def _images_of(tree, place, lists):
    """Return the folder with a folder of images for each list: that of the lists, or beside it."""
    stems = [file[: -len(_ENDING)].lower() for file in lists]
    for folder in dict.fromkeys((place, *_FOLDERS)):
        if not folder or tree.is_folder(folder):
            names = [one.lower() for one in tree.entries(folder)]
            if all(stem in names for stem in stems):
                return folder
    return place


def _open_lists(tree: FileTree, folder, place, lists, path, resize):
    """Return the set of lists in a folder and of images in folders beside them."""
    folders = [one for one in tree.entries(folder) if tree.is_folder(_join(folder, one))]
    listed: dict[str, list] = {"probe": [], "gallery": []}
    inputs, taken = {}, set()
    for file in lists:
        stem = file[: -len(_ENDING)]
        role = "probe" if "probe" in stem.lower() else "gallery"
        own = [one for one in folders if one.lower() == stem.lower()]
        if "probe" not in stem.lower() and "gallery" not in stem.lower():
            raise DataError(f"{tree.place(_join(place, file))} is a list of neither side")
        if not own:
            raise DataError(f"{tree.place(folder)} has no folder {stem} for {file}")
        taken.add(own[0])
        data, where = tree.read(_join(place, file)), tree.place(_join(place, file))
        inputs[where] = hashlib.sha256(data).hexdigest()
        listed[role] += _read_list(tree, read_mat(data, where), _join(folder, own[0]), where)
    extra: dict[str, list] = {"probe": [], "gallery": []}
    for one in folders:
        lower = one.lower()
        if one not in taken and ("distractor" in lower or "unmated" in lower):
            role = "gallery" if "distractor" in lower else "probe"
            names = [_join(_join(folder, one), name) for name in tree.entries(_join(folder, one))]
            extra[role] += [name for name in names if name.lower().endswith(SUFFIXES)]
    for role, found in listed.items():
        if not found:
            raise DataError(f"{tree.place(place)} lists no {role}: one file for each side expected")
    images, identities = {}, {}
    for role in ("probe", "gallery"):
        names = [name for name, _ in listed[role]] + extra[role]
        identities[role] = [who for _, who in listed[role]] + _nobody(extra[role])
        images[role] = EncodedImages(
            lambda number, names=names: tree.read(names[number]),
            [tree.place(name) for name in names],
            resize,
        )
    return SearchSet(
        images["probe"],
        images["gallery"],
        identities["probe"],
        identities["gallery"],
        len(extra["gallery"]),
        len(extra["probe"]),
        inputs,
        path.resolve().name,
    )


def _nobody(names):
    """Return an identity for each of these images that no other image has."""
    return [f"nobody: {name}" for name in names]


def _read_list(tree, variables, folder, where):
    """Return (path, identity) of each image of a list."""
    sets = [name for name in variables if name.endswith("_set")]
    ids = [name for name in variables if name.endswith("_ids")]
    if len(sets) != 1 or len(ids) != 1:
        raise DataError(
            f"{where} holds {shown_text(', '.join(variables) or 'no variables')}; one *_set and "
            "one *_ids were expected"
        )
    names = flat_texts(variables[sets[0]], f"{where}: {sets[0]}")
    numbers = variables[ids[0]]
    try:
        people = [f"{float(number):.15g}" for number in np.asarray(numbers).ravel().tolist()]
    except (TypeError, ValueError):
        people = flat_texts(numbers, f"{where}: {ids[0]}")
    if len(names) != len(people):
        raise DataError(f"{where} has {len(names)} images and {len(people)} identities")
    found, missing = [], []
    for name, who in zip(names, people):
        path = tree.within(name.replace("\\", "/"), folder)
        if path is None:
            raise DataError(f"{where}: {name[:80]!r} leads out of {tree}")
        if not tree.is_file(path):
            missing.append(name)
        found.append((path, who))
    if missing:
        count = "none" if len(missing) == len(names) else f"{len(names) - len(missing)}"
        raise DataError(
            f"{count} of the {len(names)} images that {where} lists are in {tree.place(folder)}; "
            f"the first that is missing is {shown_text(missing[0])}"
        )
    return found


def _open_cvlface(path, resize):
    """Return CVLface's TinyFace: rows, and which of their paths are on which side."""
    rows = open_rows(path)
    facts = read_metadata(path, ("image_paths", "probe_paths", "gallery_paths", "distractor_paths"))
    paths = facts["image_paths"]
    if len(paths) != len(rows):
        raise DataError(f"{path}: metadata.pt has {len(paths)} image_paths for {len(rows)} images")
    numbers: dict[str, int] = {}
    for number, one in enumerate(paths):
        if numbers.setdefault(_stem(one), number) != number:
            raise DataError(f"{path}: two images have the base name {shown_text(_stem(one))}")

    def side(key) -> list[tuple[int, str]]:
        found = []
        for one in facts[key]:
            number = numbers.get(_stem(one))
            if number is None:
                raise DataError(
                    f"{path}: metadata.pt names {one[:80]} in {key}, which has no image"
                )
            found.append((number, _stem(one)))
        return found

    probes, gallery, extra = side("probe_paths"), side("gallery_paths"), side("distractor_paths")
    return SearchSet(
        _chosen(rows, [number for number, _ in probes], resize),
        _chosen(rows, [number for number, _ in gallery + extra], resize),
        [stem.split("_")[0] for _, stem in probes],
        [stem.split("_")[0] for _, stem in gallery] + _nobody([stem for _, stem in extra]),
        len(extra),
        0,
        rows.sha256(),
        path.resolve().name,
    )


def _stem(name):
    """Return the base name of a path without its suffix."""
    return posixpath.splitext(posixpath.basename(name.replace("\\", "/")))[0]


def _chosen(rows: ImageRows, numbers: list[int], resize: bool) -> typing.Any:
    return EncodedImages(
        lambda number: rows.read(numbers[number]), [rows.name(n) for n in numbers], resize
    )
