"""Faces in a RecordIO training set."""

from __future__ import annotations

import contextlib

import numpy as np

from ...errors import DataError
from ...files import StrPath
from ..recordio.dataset import RecordDataset
from .source import FaceSource

__all__ = ["Records"]


class Records(FaceSource):
    """The images of a RecordIO training set.

    Parameters
    ----------
    path : str or pathlib.Path
        As for `RecordDataset`.
    """

    kind = "records"

    def __init__(self, path: StrPath):
        self.dataset = RecordDataset(path, cache=0)
        self.labels = _labels(self.dataset)

    def name(self, index: int) -> str:
        """See `FaceSource`. The key of the record."""
        return f"record {self.dataset.key(index)}"

    def read(self, index: int) -> bytes:
        """See `FaceSource`."""
        return self.dataset.read(index)

    def stamp(self) -> list:
        """See `FaceSource`. Bytes and modification time of the .rec file."""
        return self.dataset.stamp()[1:]


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
