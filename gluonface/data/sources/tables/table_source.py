"""What Parquet and Arrow files have in common: rows of several files that are one set."""

from __future__ import annotations

import os
import pathlib
import typing

import numpy as np

from ..source import FaceSource
from .table_columns import RowIdentities

__all__ = ["TableSource"]


class TableSource(FaceSource):
    """Template: the rows of `paths` whose identity is known.

    A subclass calls `_keep_people`, and sets `_first`: the first row of each part, and the end.
    """

    paths: list[pathlib.Path]
    _first: np.ndarray

    def _keep_people(self, identities: RowIdentities) -> None:
        """Set labels, keys and groups of the rows that are of somebody."""
        labels, self.keys, groups = identities.finish()
        kept = np.flatnonzero(labels >= 0)
        self._rows = None if len(kept) == len(labels) else kept
        self._nobody = np.flatnonzero(labels < 0)
        self.labels = labels if self._rows is None else labels[kept]
        self.groups = groups if groups is None or self._rows is None else groups[kept]

    def _place(self, row: int) -> tuple[int, int]:
        """Return the part of a row, and the row in it."""
        part = int(np.searchsorted(self._first, row, "right")) - 1
        return part, row - int(self._first[part])

    def _row(self, index: int) -> int:
        """Return the row of image `index`."""
        return int(index if self._rows is None else self._rows[index])

    def _row_name(self, row: int) -> str:
        raise NotImplementedError

    def name(self, index: int) -> str:
        """See `FaceSource`. The file, or the folder of several, and the row, from 0."""
        return self._row_name(self._row(index))

    def ignored(self) -> list[tuple[str, str]]:
        """See `FaceSource`. Rows of nobody."""
        return [(self._row_name(row), "its label is -1 or null") for row in self._nobody.tolist()]

    def stamp(self) -> list[typing.Any]:
        """See `FaceSource`. Path, bytes and modification time of the files."""
        states = [(path, os.stat(path)) for path in self.paths]
        return [[str(path), state.st_size, state.st_mtime_ns] for path, state in states]
