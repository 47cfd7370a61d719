"""Pairs in MATLAB's files: AgeDB-30's protocol, QMUL-SurvFace's verification set."""

from __future__ import annotations

import hashlib
import typing

import numpy as np

from ....errors import DataError, InputError, shown_text
from ...formats.mat_file import flat_texts, read_mat
from ..file_tree import FileTree
from .face_pairs import FacePairs
from .listed_pairs import ImageFinder, ListedPair, make_pairs

__all__ = ["find_survface", "open_agedb", "open_survface"]

_SURVFACE = {"positive_pairs_names": True, "negative_pairs_names": False}


def open_agedb(
    tree: FileTree, file: str, images: FileTree, folder: str = "", strip: str | None = None
) -> FacePairs:
    """Return the pairs of AgeDB's protocol: a structure for each fold, read by the fields' places.

    Parameters
    ----------
    tree : FileTree
        Of the file.
    file : str
    images : FileTree
        Of the images.
    folder : str
        Where in it they are.
    strip : str, optional
        As for `ImageFinder`.

    Raises
    ------
    DataError
        When it is no such file, or an image is missing.
    """
    data, where = tree.read(file), tree.place(file)
    variables = read_mat(data, where)
    if "splits" not in variables:
        raise InputError(
            f"{where} holds the variables {shown_text(', '.join(variables) or 'none')}; AgeDB's "
            "protocol has `splits`"
        )
    finder = ImageFinder(images, where, folder, strip)
    listed = []
    for fold, split in enumerate(np.asarray(variables["splits"], object).ravel()):
        at = f"{where}, fold {fold + 1}"
        names, labels = _fold(split, at)
        for number, (first, second, label) in enumerate(zip(*names, labels), 1):
            if label not in (1, -1, 0):
                raise DataError(f"{at}, pair {number} has the label {label:g}; 1 or -1 expected")
            pair = [finder.find(name, f"{at}, pair {number}") for name in (first, second)]
            listed.append(ListedPair(pair[0], pair[1], label == 1, fold))
    finder.check()
    stem = "agedb_30" if "30" in file else "agedb"
    return make_pairs(listed, images, stem, {where: hashlib.sha256(data).hexdigest()})


def _fold(split, where) -> tuple[list[list[str]], list[float]]:
    """Return the names on either side and the labels of a fold."""
    try:
        ((fields),) = np.asarray(split, object).ravel()
        cells, labels = fields[0], np.asarray(fields[1], np.float64).ravel().tolist()
        if cells.shape[0] != 2 and cells.shape[1] == 2:
            cells = cells.T
        names = [[_first_text(cell) for cell in row] for row in cells]
    except (TypeError, ValueError, IndexError, AttributeError) as error:
        raise DataError(
            f"{where} is no structure of pairs of images and of labels: {error}"
        ) from error
    if len(names) != 2 or len(names[0]) != len(labels):
        raise DataError(
            f"{where} has {[len(row) for row in names]} images for {len(labels)} labels"
        )
    return names, labels


def _first_text(cell):
    """Return the name in a structure whose first field it is, or in a cell, or the name itself."""
    for _ in range(4):
        if isinstance(cell, str):
            return cell.strip()
        cell = cell.ravel()[0] if isinstance(cell, np.ndarray) else cell[0]
    raise ValueError("a name is no text")


def find_survface(tree: FileTree) -> str | None:
    """Return the folder of a tree with SurvFace's two files, as a path; None if there is none."""
    for folder in ("", "Face_Verification_Test_Set/"):
        if all(tree.is_file(f"{folder}{name}.mat") for name in _SURVFACE):
            return folder
    return None


def open_survface(
    tree: FileTree,
    folder: str,
    images: FileTree | None = None,
    strip: str | None = None,
    name: str = "survface",
) -> FacePairs:
    """Return SurvFace's pairs: those of one person first.

    Parameters
    ----------
    tree : FileTree
    folder : str
        As `find_survface` returns it.
    images : FileTree, optional
        Where the images are; by default ``verification_images`` beside the files.
    strip, name
        As elsewhere.

    Raises
    ------
    DataError
        When a file is none of these, or an image is missing.
    """
    listed, inputs = [], {}
    finder = ImageFinder(
        images or tree,
        tree.place(folder.rstrip("/")),
        "" if images else f"{folder}verification_images",
        strip,
    )
    for stem, same in _SURVFACE.items():
        file = f"{folder}{stem}.mat"
        data, where = tree.read(file), tree.place(file)
        inputs[where] = hashlib.sha256(data).hexdigest()
        for number, (first, second) in enumerate(_names(read_mat(data, where), stem, where), 1):
            at = f"{where}, row {number}"
            listed.append(ListedPair(finder.find(first, at), finder.find(second, at), same))
    finder.check()
    return make_pairs(listed, images or tree, name, inputs)


def _names(variables: dict[str, typing.Any], stem: str, where: str):
    """Yield the two names of each row."""
    value = variables.get(stem)
    if value is None and len(variables) == 1:
        (value,) = variables.values()
    if not isinstance(value, np.ndarray) or value.ndim != 2 or value.shape[1] != 2:
        shape = getattr(value, "shape", None)
        raise DataError(
            f"{where}: a cell `{stem}` of (pairs, 2) names was expected; there are the variables "
            f"{shown_text(', '.join(variables) or 'none')}{f', of shape {shape}' if shape else ''}"
        )
    sides = [flat_texts(value[:, side], f"{where}: {stem}") for side in (0, 1)]
    yield from zip(*sides)
