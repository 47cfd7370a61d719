"""Faces in RecordIO training sets: one file, or im2rec's numbered chunks."""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import typing

import numpy as np

from ...errors import DataError, InputError
from ...files import StrPath
from ..recordio.dataset import RecordDataset
from ..recordio.identity_names import read_identity_names
from ..recordio.reader import find_rec
from .source import FaceSource, natural_key

__all__ = ["Records", "record_files"]


def record_files(path: StrPath, split: str | None = None) -> list[pathlib.Path]:
    """Return the .rec files of one set.

    Parameters
    ----------
    path : str or pathlib.Path
        A .rec file; or a folder with ``train.rec``, with one .rec file, or with im2rec's chunks
        ``PREFIX_0.rec`` to ``PREFIX_{n-1}.rec``.
    split : str, optional
        Of several sets in a folder the one whose name ends with it, such as ``val``.

    Raises
    ------
    InputError
        When a chunk is missing, or the files are different sets.
    """
    path = pathlib.Path(path)
    if not path.is_dir():
        return [find_rec(path)]
    found = sorted(path.glob("*.rec"), key=lambda rec: natural_key(rec.name))
    if split is not None:
        named = [rec for rec in found if rec.stem == split or rec.stem.endswith(f"_{split}")]
        if len(named) != 1:
            names = ", ".join(rec.name for rec in found)
            raise InputError(f"{path} has no set {split}; it has {names}")
        return named
    if (path / "train.rec").exists() or len(found) < 2:
        return [find_rec(path)]
    chunks = [re.fullmatch(r"(.*)_([0-9]{1,9})", rec.stem) for rec in found]
    if not all(chunks) or len({chunk[1] for chunk in chunks if chunk}) > 1:
        names = ", ".join(rec.name for rec in found[:5])
        raise InputError(
            f"{path} has several .rec files ({names}), which are no numbered chunks of one set: "
            "name one of them (of PREFIX_train.rec and PREFIX_val.rec also --split train), or join "
            "them by `gluonface data merge`"
        )
    numbers = [int(chunk[2]) for chunk in chunks if chunk]
    missing = sorted(set(range(max(numbers) + 1)) - set(numbers))
    if missing:
        prefix = chunks[0][1] if chunks[0] else ""
        raise InputError(
            f"{path / f'{prefix}_{missing[0]}.rec'} is missing; there are {len(numbers)} chunks of "
            f"{max(numbers) + 1}. Fetch it, or name the files that are to be read"
        )
    return found


class Records(FaceSource):
    """The images of a RecordIO training set; ``identities.csv`` beside it has the names.

    Parameters
    ----------
    paths : str, pathlib.Path, or a sequence of these
        As for `RecordDataset`. Several files are one set: labels are shared.
    """

    kind = "records"

    def __init__(self, paths: StrPath | typing.Sequence[StrPath]):
        if isinstance(paths, (str, os.PathLike)):
            paths = [paths]
        self.datasets = [RecordDataset(path, cache=0) for path in paths]
        self.dataset = self.datasets[0]
        self.labels = np.concatenate([_labels(dataset) for dataset in self.datasets])
        self._first = np.cumsum([0, *map(len, self.datasets)])
        names = read_identity_names(self.dataset.path.parent)
        if names:
            count = int(self.labels.max(initial=-1)) + 1
            self.keys = [names.get(number, str(number)) for number in range(count)]

    def _place(self, index):
        """Return the set and the number in it of image `index`."""
        number = int(np.searchsorted(self._first, index, "right")) - 1
        return self.datasets[number], int(index - self._first[number])

    def name(self, index: int) -> str:
        """See `FaceSource`. The key of the record, with its file where there are several."""
        dataset, number = self._place(index)
        where = f"{dataset.path.name}: " if len(self.datasets) > 1 else ""
        return f"{where}record {dataset.key(number)}"

    def read(self, index: int) -> bytes:
        """See `FaceSource`."""
        dataset, number = self._place(index)
        return dataset.read(number)

    def stamp(self) -> list:
        """See `FaceSource`. Bytes and modification time of the .rec files."""
        return [value for dataset in self.datasets for value in dataset.stamp()[1:]]


def _labels(dataset):
    """Return the labels of a record set, -1 where one cannot be read."""
    try:
        return dataset.labels.astype(np.int64)
    except DataError:
        pass
    labels = np.full(len(dataset), -1, np.int64)
    for i in range(len(dataset)):
        with contextlib.suppress(DataError):
            labels[i] = dataset.record(i)[0]
    return labels
