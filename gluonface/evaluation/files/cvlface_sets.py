"""CVLface's evaluation sets: Arrow folders of images with `metadata.pt`."""

from __future__ import annotations

import pathlib
import typing
from collections.abc import Sequence

import numpy as np

from ...data.formats.arrow_rows import open_saved
from ...errors import DataError, InputError, shown_text
from ...files import StrPath, sha256
from ...weights.torch_pickle import read_torch_values
from .ijb_lists import Images, Pairs
from .image_list import EncodedImages

__all__ = ["ImageRows", "open_rows", "read_metadata", "read_templates"]

METADATA = "metadata.pt"


class ImageRows:
    """The images of an Arrow folder, in the order of their index.

    Parameters
    ----------
    folder : pathlib.Path
    """

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        rows = open_saved(folder)
        index = rows.values("index")
        if not all(isinstance(value, int) for value in index) or len(set(index)) != len(index):
            raise DataError(f"{folder}: its column index is not a number of its own for each image")
        self._order = np.argsort(np.array(index, np.int64), kind="stable").tolist()
        self._read = rows.images()
        if not index:
            raise DataError(f"{folder} holds no images")

    def __len__(self):
        return len(self._order)

    def name(self, number: int) -> str:
        """Return what messages call an image."""
        return f"{self.folder}: image {number}"

    def read(self, number: int) -> bytes:
        """Return an encoded image."""
        return self._read(self._order[number])

    def sha256(self) -> dict[str, str]:
        """Return the SHA-256 of the files, by their names."""
        files = [*sorted(self.folder.rglob("*.arrow")), self.folder / METADATA]
        return {str(file): sha256(file) for file in files}


def open_rows(folder: StrPath) -> ImageRows:
    """Return the images of an Arrow folder that has `metadata.pt` beside them.

    Raises
    ------
    InputError, DataError
        When it has none, or is damaged.
    """
    folder = pathlib.Path(folder)
    if not (folder / METADATA).is_file():
        raise InputError(
            f"{folder} has no {METADATA}; CVLface's sets of templates and for identification have "
            "it. Sets of pairs go to `gluonface eval verification --pack`"
        )
    return ImageRows(folder)


def read_metadata(folder: StrPath, names: Sequence[str]) -> dict[str, typing.Any]:
    """Return entries of `metadata.pt`: lists of texts, or arrays of numbers.

    Raises
    ------
    InputError
        When an entry is missing; those that there are, are listed.
    DataError
        When the file is damaged, or an entry holds something else.
    """
    path = pathlib.Path(folder) / METADATA
    found = read_torch_values(path)
    missing = [name for name in names if name not in found]
    if missing:
        there = shown_text(", ".join(map(str, found)) or "nothing", 500)
        raise InputError(f"{path} has no {', '.join(missing)}; it has {there}")
    result: dict[str, typing.Any] = {}
    for name in names:
        value = found[name]
        if isinstance(value, np.ndarray):
            value = value.ravel()
            value = value.tolist() if value.dtype.kind in "OUS" else value
        if isinstance(value, (list, tuple)):
            value = [one.decode() if isinstance(one, bytes) else one for one in value]
            if not all(isinstance(one, str) for one in value):
                try:
                    value = np.array(value, np.float64)
                except (TypeError, ValueError, OverflowError) as error:
                    raise DataError(f"{path}: {name} holds neither texts nor numbers") from error
        elif not isinstance(value, np.ndarray):
            raise DataError(f"{path}: {name} is {type(value).__name__}; a list was expected")
        result[name] = value
    for name in names:
        if name.endswith("_paths") and not isinstance(result[name], list):
            raise DataError(f"{path}: {name} holds numbers; paths were expected")
    return result


def read_templates(folder: StrPath) -> tuple[Images, Pairs, EncodedImages]:
    """Read IJB-B or IJB-C in CVLface's form: aligned crops, their templates and media, the pairs.

    Returns
    -------
    images : ijb_lists.Images
        Without points: the crops are aligned.
    pairs : ijb_lists.Pairs
    crops : EncodedImages

    Raises
    ------
    InputError, DataError
        When entries are missing, do not fit each other, or a file is damaged.
    """
    folder = pathlib.Path(folder)
    rows = open_rows(folder)
    names = ("faceness_scores", "templates", "medias", "label", "p1", "p2")
    facts = read_metadata(folder, names)
    for name in names:
        count = len(rows) if name in names[:3] else len(facts["p1"])
        if isinstance(facts[name], list) or len(facts[name]) != count:
            raise DataError(
                f"{folder / METADATA}: {name} has {len(facts[name])} entries; numbers for {count} "
                f"{'images' if name in names[:3] else 'pairs'} were expected"
            )
        if not np.isfinite(np.asarray(facts[name], np.float64)).all():
            raise DataError(f"{folder / METADATA}: {name} holds a value that is not finite")
        if name != "faceness_scores" and (facts[name] % 1 != 0).any():
            raise DataError(f"{folder / METADATA}: {name} holds values that are not whole numbers")
    if not len(facts["label"]) or not np.isin(facts["label"], (0, 1)).all():
        raise DataError(f"{folder / METADATA}: label does not hold 1 and 0 for each pair")
    if facts["label"].all() or not facts["label"].any():
        kind = "same" if facts["label"].all() else "different"
        raise DataError(f"{folder / METADATA}: all pairs are {kind} pairs; both kinds are needed")
    digests = rows.sha256()
    named = [rows.name(number) for number in range(len(rows))]
    images = Images(
        named,
        facts["templates"].astype(np.int64),
        facts["medias"].astype(np.int64),
        None,
        facts["faceness_scores"].astype(np.float64),
        digests,
    )
    pairs = Pairs(
        facts["p1"].astype(np.int64),
        facts["p2"].astype(np.int64),
        facts["label"].astype(bool),
        str(folder / METADATA),
        {},
    )
    return images, pairs, EncodedImages(rows.read, named)
