"""Faces in Arrow files: what Hugging Face's `save_to_disk` writes, and its cache."""

from __future__ import annotations

import contextlib
import json
import pathlib
import typing

import numpy as np

from ....errors import DataError, InputError
from ....files import StrPath
from ...text_files import read_text
from ..list_columns import shorten
from .table_columns import RowIdentities, choose_columns, import_arrow, read_names
from .table_source import TableSource

__all__ = ["ArrowFiles", "saved_files"]


class ArrowFiles(TableSource):
    """The rows of Arrow streams or files, which are one set with shared identities.

    Parameters
    ----------
    paths : sequence of pathlib.Path
        In the order of the rows.
    columns, group
        As for `open_source`.
    features : dict, optional
        Hugging Face's description of the columns, of ``dataset_info.json``.

    Raises
    ------
    InputError
        When columns have to be named.
    DataError
        When a file is damaged or holds paths in place of images.
    MissingExtraError
        When pyarrow is not installed.
    """

    kind = "arrow"

    def __init__(
        self,
        paths: typing.Sequence[pathlib.Path],
        columns: typing.Mapping[str, str] | None = None,
        group: typing.Sequence[str] | None = None,
        features: typing.Mapping | None = None,
    ):
        self.paths = list(paths)
        self.columns: typing.Any = None
        identities: typing.Any = None
        counts: list[int] = []
        self._parts: list[typing.Any] | None = None
        for part, schema, path in self._open():
            if self.columns is None:
                where = str(path)
                self.columns = choose_columns(schema, where, columns or {}, group, features)
                identities = RowIdentities(self.columns, where)
                first = schema
            elif schema != first and not schema.equals(first):
                raise InputError(
                    f"{path} has the columns {shorten(schema.names)}, other ones than "
                    f"{self.paths[0]}; files of one set were expected"
                )
            if part is not None:
                with _reading(path):
                    identities.add(part)
                counts.append(part.num_rows)
        self._first = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        self._keep_people(identities)
        if not len(self.labels):
            raise InputError(f"{self.paths[0]} is an Arrow file without images")
        if all(self._column(part).null_count == len(part) for part in self._batches()):
            raise DataError(
                f"{self.paths[0]}: the images are not in the file, {self.columns.image} has no "
                "bytes; only their paths may be there"
            )

    def _open(self):
        """Yield (record batch or None, schema, path); None once for each file, for its schema."""
        arrow = import_arrow()
        for path in self.paths:
            with _reading(path):
                mapped = arrow.memory_map(str(path))
                with open(path, "rb") as file:
                    stream = file.read(6) != b"ARROW1"
                reader = (arrow.ipc.open_stream if stream else arrow.ipc.open_file)(mapped)
                read_names(reader.schema)
                yield None, reader.schema, path
                batches = iter(reader) if stream else map(
                    reader.get_batch, range(reader.num_record_batches)
                )  # fmt: skip
                for batch in batches:
                    batch.validate(full=True)
                    yield batch, reader.schema, path

    def _batches(self):
        if self._parts is None:
            self._parts = [part for part, _, _ in self._open() if part is not None]
        return self._parts

    def _column(self, batch):
        column = batch.column(self.columns.image)
        return column.field("bytes") if self.columns.struct else column

    def _row_name(self, row):
        where = self.paths[0] if len(self.paths) == 1 else self.paths[0].parent
        return f"{where}: row {row}"

    def read(self, index: int) -> bytes:
        """See `FaceSource`."""
        part, row = self._place(self._row(index))
        with _reading(self.paths[0]):
            data = self._column(self._batches()[part])[row].as_py()
        if data is None:
            raise DataError(f"{self.name(index)}: the image is not in the file")
        return data

    def __getstate__(self):  # a copy in another process maps the files again
        return {**self.__dict__, "_parts": None}


@contextlib.contextmanager
def _reading(path):
    """Turn pyarrow's errors into DataError."""
    arrow = import_arrow()
    try:
        yield
    except (DataError, InputError):
        raise
    except (arrow.ArrowException, OSError, ValueError, EOFError, OverflowError) as error:
        text = str(error).strip().split("\n")[0][:200]
        raise DataError(
            f"{path} is an Arrow file that cannot be read ({text}); it was cut short or is "
            "damaged: fetch it again"
        ) from error


def saved_files(
    folder: StrPath, split: str | None = None
) -> tuple[list[pathlib.Path], dict | None]:
    """Return the files of what `save_to_disk` wrote, in their order, and the features.

    Parameters
    ----------
    folder : str or pathlib.Path
        With ``state.json``, or with ``dataset_dict.json`` and a folder for each split.
    split : str, optional
        The name of a split, or ``all``.

    Raises
    ------
    InputError
        When there are several splits and none is named, or a file is missing.
    DataError
        When one of the JSON files is something else.
    """
    folder = pathlib.Path(folder)
    if (folder / "dataset_dict.json").is_file():
        splits = _json(folder / "dataset_dict.json").get("splits")
        if not isinstance(splits, list) or not all(map(_is_plain_name, splits)) or not splits:
            raise DataError(f"{folder / 'dataset_dict.json'} names no splits")
        if split is None and len(splits) > 1:
            raise InputError(
                f"{folder} has the splits {shorten(splits)}; say which, or all: --split NAME "
                "(split=)"
            )
        if split not in (None, "all", *splits):
            raise InputError(f"{folder} has no split {split}; it has {shorten(splits)}")
        files, features = [], None
        for name in splits if split in (None, "all") else [split]:
            some, features = saved_files(folder / name)
            files += some
        return files, features
    state = _json(folder / "state.json").get("_data_files")
    names: list[str] = []
    for item in state if isinstance(state, list) else [None]:
        name = item.get("filename") if isinstance(item, dict) else None
        if not _is_plain_name(name):
            names = []
            break
        names.append(str(name))
    if not names:
        raise DataError(f"{folder / 'state.json'} names no data files")
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise InputError(f"{folder / missing[0]} is missing; state.json there names it: fetch it")
    features = None
    if (folder / "dataset_info.json").is_file():
        features = _json(folder / "dataset_info.json").get("features")
    if split is not None:
        own = _json(folder / "state.json").get("_split")
        if split not in ("all", own, folder.name):
            raise InputError(
                f"{folder} has no splits (it is {own or folder.name}); leave split out"
            )
    return [folder / name for name in names], features if isinstance(features, dict) else None


def _is_plain_name(name):
    whole = isinstance(name, str) and name not in ("", ".", "..") and len(name) < 200
    return whole and name.isprintable() and not set(name) & set("/\\")


def _json(path):
    try:
        tree = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is no JSON: {error}") from error
    if not isinstance(tree, dict):
        raise DataError(f"{path} holds no object")
    return tree
