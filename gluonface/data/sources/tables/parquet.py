"""Faces in Parquet files: a row per image with its bytes and its identity."""

from __future__ import annotations

import collections
import pathlib
import threading
import typing

import numpy as np

from ....errors import DataError, InputError
from ..list_columns import shorten
from .table_columns import RowIdentities, choose_columns, import_arrow
from .table_source import TableSource

__all__ = ["Parquet"]

CACHE = 256 << 20  # bytes of images that are kept; a larger set is read in its order
_IN_ORDER = CACHE // 16  # where images are read in the order of the rows, none is read twice
_ROWS = 32  # rows that are decoded at once
_LEAST = 4  # times so many rows are kept, for threads that come a little later
_BUFFER = 1 << 20  # bytes of a file that are read at once


class Parquet(TableSource):
    """The rows of Parquet files, which are one set with shared identities.

    Parameters
    ----------
    paths : sequence of pathlib.Path
    columns, group
        As for `open_source`.

    Raises
    ------
    InputError
        When columns have to be named, or the files have other columns than the first.
    DataError
        When a file is damaged or holds paths in place of images.
    MissingExtraError
        When pyarrow is not installed.
    """

    kind = "parquet"

    def __init__(
        self,
        paths: typing.Sequence[pathlib.Path],
        columns: typing.Mapping[str, str] | None = None,
        group: typing.Sequence[str] | None = None,
    ):
        self.paths = list(paths)
        self._groups_of: list[np.ndarray] = []  # per file: first row of each row group, and the end
        chosen = None
        rows, total = [0], 0
        identities: typing.Any = None
        for path in self.paths:
            with _reading(path), _open(path) as file:
                if chosen is None:
                    chosen = choose_columns(file.schema_arrow, str(path), columns or {}, group)
                    self.columns = chosen
                    first = file.schema_arrow
                    wanted = [chosen.identity, *chosen.groups]
                    identities = RowIdentities(chosen, str(path))
                self._require_same(file.schema_arrow, first, path)
                counts, size, empty = _row_groups(file, self.leaf)
                if empty:
                    raise DataError(
                        f"{path} is a Parquet file in which the images are not: {self.leaf} is "
                        "null, only their paths may be there; fetch the set with its images"
                    )
                self._groups_of.append(np.concatenate([[0], np.cumsum(counts)]).astype(np.int64))
                total += size
                rows.append(rows[-1] + int(sum(counts)))
                if rows[-1] > rows[-2]:
                    identities.add(file.read(columns=wanted))
        self._first = np.array(rows, np.int64)
        self._keep_people(identities)
        if not len(self.labels):
            raise InputError(f"{self.paths[0]} is a Parquet file without images")
        self.in_order = total > CACHE
        # Tools take people in the order of their numbers, which may be that of the rows.
        sorted_by_person = bool(np.all(np.diff(self.labels) >= 0))
        self._most = _IN_ORDER if self.in_order or sorted_by_person else CACHE
        self._start()

    @property
    def leaf(self) -> str:
        """The column with the bytes, as Parquet names it."""
        return f"{self.columns.image}.bytes" if self.columns.struct else self.columns.image

    def _require_same(self, schema, first, path):
        for name in (self.columns.image, self.columns.identity, *self.columns.groups):
            kind = schema.field(name).type if name in schema.names else None
            if kind != first.field(name).type and (name != self.columns.image or kind is None):
                raise InputError(
                    f"{path} has the columns {shorten(schema.names)}, and not {name} as "
                    f"{self.paths[0]} has it; files of one set were expected"
                )

    def _start(self):
        self._lock = threading.Lock()
        self._cache: collections.OrderedDict = collections.OrderedDict()  # (file, row // _ROWS)
        self._held = 0
        self._batches: typing.Any = None  # the reading that goes on: (file, next row, generator)

    def _row_name(self, row):
        file, row = self._place(row)
        return f"{self.paths[file]}: row {row}"

    def read(self, index: int) -> bytes:
        """See `FaceSource`."""
        file, row = self._place(self._row(index))
        with self._lock:
            start, values = self._batch(file, row)
        if row - start >= len(values):
            raise DataError(f"{self.name(index)} is not there; the file is damaged")
        data = values[row - start]
        if data is None:
            raise DataError(f"{self.name(index)}: the image is not in the file")
        return data

    def _batch(self, file, row):
        """Return (first row, list of bytes) of the batch with a row."""
        starts = self._groups_of[file]
        group = int(np.searchsorted(starts, row, "right")) - 1
        wanted = int(starts[group]) + (row - int(starts[group])) // _ROWS * _ROWS
        if (file, wanted) in self._cache:
            self._cache.move_to_end((file, wanted))
            return wanted, self._cache[file, wanted]
        going = self._batches
        if going is None or going[0] != file or not going[1] <= wanted < going[1] + 65536:
            self._stop()
            # from the row group on: what comes before it in the file is not read
            going = self._batches = [file, int(starts[group]), self._decode(file, group)]
        with _reading(self.paths[file]):
            while True:
                start, values = next(going[2], (None, None))
                if values is None:
                    raise DataError(f"{self.paths[file]} has changed; open it again")
                self._keep((file, start), values)
                going[1] = start + len(values)
                if start == wanted:
                    return wanted, values

    def _keep(self, key, values):
        self._cache[key] = values
        self._held += sum(len(data) for data in values if data is not None)
        while self._held > self._most and len(self._cache) > _LEAST:
            _, old = self._cache.popitem(last=False)
            self._held -= sum(len(data) for data in old if data is not None)

    def _decode(self, file, group):
        """Yield (first row, list of bytes) from a row group on to the end of a file."""
        with _open(self.paths[file]) as opened:
            starts = self._groups_of[file]
            for number in range(group, len(starts) - 1):
                row = int(starts[number])
                for batch in opened.iter_batches(_ROWS, [number], [self.leaf], use_threads=False):
                    column = batch.column(0)
                    values = (column.field("bytes") if self.columns.struct else column).to_pylist()
                    yield row, values
                    row += len(values)

    def _stop(self):
        if self._batches is not None:
            self._batches[2].close()
            self._batches = None

    def __getstate__(self):  # a copy in another process opens the files again
        state = self.__dict__.copy()
        for name in ("_lock", "_cache", "_batches", "_held"):
            state.pop(name)
        return state

    def __setstate__(self, state):
        self.__dict__.update(state)
        self._start()


def _open(path):
    # Without a buffer whole column chunks are read, which may be all images of the file.
    return import_arrow().parquet.ParquetFile(path, memory_map=False, buffer_size=_BUFFER)


class _reading:
    """Turn pyarrow's errors into DataError."""

    def __init__(self, path):
        self.path = path

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        arrow = import_arrow()
        expected = (arrow.ArrowException, OSError, ValueError, KeyError, EOFError, OverflowError)
        known = (DataError, InputError)
        if error is not None and isinstance(error, expected) and not isinstance(error, known):
            text = str(error).strip().split("\n")[0][:200]
            raise DataError(
                f"{self.path} is a Parquet file that cannot be read ({text}); it was cut short or "
                "is damaged: fetch it again"
            ) from error


def _row_groups(file, leaf):
    """Return the rows of each row group, the bytes of all images, and whether all are null."""
    metadata = file.metadata
    counts, size, null = [], 0, 0
    column = next((i for i in range(len(file.schema)) if file.schema.column(i).path == leaf), None)
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        counts.append(group.num_rows)
        if column is None:
            continue
        chunk = group.column(column)
        size += chunk.total_uncompressed_size
        statistics = chunk.statistics
        if statistics is not None and statistics.has_null_count:
            null += statistics.null_count
    return counts, size, column is not None and null == sum(counts) > 0
