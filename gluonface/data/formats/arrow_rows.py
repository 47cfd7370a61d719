"""Rows of data sets that Hugging Face's `datasets` saved to disk: Arrow streams, memory-mapped."""

from __future__ import annotations

import json
import pathlib
import typing

from ...errors import DataError, InputError, MissingExtraError, shown_text
from ...files import StrPath

__all__ = ["ArrowRows", "is_saved_set", "open_saved"]


def _pyarrow():
    try:
        import pyarrow as module
        import pyarrow.ipc
    except ImportError as error:
        raise MissingExtraError("pyarrow", "formats", "to read Arrow files") from error
    return module


def is_saved_set(folder: pathlib.Path) -> bool:
    """Return whether a folder is what ``save_to_disk`` writes: a set, or a dict of splits."""
    return any((folder / name).is_file() for name in ("state.json", "dataset_dict.json"))


class ArrowRows:
    """The rows of several Arrow streams, one after another.

    Parameters
    ----------
    files : list of pathlib.Path
    name : str
        For messages.

    Attributes
    ----------
    columns : list of str
    """

    def __init__(self, files: list[pathlib.Path], name: str):
        arrow = _pyarrow()
        self.name = name
        tables = []
        for file in files:
            try:
                with arrow.memory_map(str(file)) as source:
                    table = arrow.ipc.open_stream(source).read_all()
                table.validate(full=True)
            except (arrow.ArrowException, OSError, ValueError) as error:
                raise DataError(
                    f"{file} is no Arrow stream, or is damaged: {str(error)[:200]}"
                ) from error
            tables.append(table)
        try:
            self._table = arrow.concat_tables(tables)
        except arrow.ArrowException as error:
            raise DataError(f"{name}: its files have other columns: {str(error)[:200]}") from error
        self.columns: list[str] = list(self._table.column_names)

    def __len__(self) -> int:
        return self._table.num_rows

    def values(self, column: str) -> list[typing.Any]:
        """Return a column; InputError if there is none, which lists those that there are."""
        if column not in self.columns:
            names = shown_text(", ".join(self.columns), 500)
            raise InputError(f"{self.name} has no column {column!r}; its columns are {names}")
        return self._table.column(column).to_pylist()

    def images(self) -> typing.Callable[[int], bytes]:
        """Return a function from a row to the bytes of its image.

        Raises
        ------
        InputError
            When there is no column `image` of images.
        """
        arrow = _pyarrow()
        if "image" not in self.columns:
            self.values("image")
        column = self._table.column("image")
        struct = arrow.types.is_struct(column.type)
        names = [field.name for field in column.type] if struct else []
        if struct and "bytes" not in names:
            raise InputError(
                f"{self.name}: its column image has the fields {shown_text(str(names))}; not "
                "`bytes`"
            )

        def read(row):
            value = column[row].as_py()
            data = value.get("bytes") if isinstance(value, dict) else value
            if not isinstance(data, bytes):
                raise DataError(
                    f"{self.name}: row {row} has no image; the images are not in the file, only "
                    "their paths"
                )
            return data

        return read


def open_saved(path: StrPath, split: str | None = None) -> ArrowRows:
    """Open a folder of ``save_to_disk``.

    Parameters
    ----------
    path : str or pathlib.Path
    split : str, optional
        Which one, of a dict of splits.

    Raises
    ------
    InputError
        When the split has to be named; pyarrow is not installed.
    DataError
        When it is no such folder, or is damaged.
    """
    folder = pathlib.Path(path)
    if (folder / "dataset_dict.json").is_file():
        splits = _json(folder / "dataset_dict.json").get("splits")
        if not isinstance(splits, list) or not all(isinstance(one, str) for one in splits):
            raise DataError(f"{folder / 'dataset_dict.json'} names no splits")
        if split is None and len(splits) == 1:
            split = splits[0]
        if split not in splits:
            said = "name one" if split is None else f"there is no {split!r}"
            raise InputError(
                f"{folder} has the splits {shown_text(', '.join(splits), 500)}: {said} (--split)"
            )
        return open_saved(folder / _plain(split, folder))
    if split is not None:
        raise InputError(f"{folder} has no splits; split {split!r} cannot be chosen")
    files = _json(folder / "state.json").get("_data_files")
    try:
        names = [entry["filename"] for entry in files]
    except (TypeError, KeyError) as error:
        raise DataError(f"{folder / 'state.json'} names no _data_files") from error
    if not names:
        raise DataError(f"{folder / 'state.json'} names no _data_files")
    return ArrowRows([folder / _plain(name, folder) for name in names], str(folder))


def _plain(name, folder):
    """Return a name if it is that of a file in the folder."""
    if not isinstance(name, str) or not 0 < len(name) < 256 or "\0" in name:
        raise DataError(f"{folder}: {str(name)[:60]!r} is no name of a file")
    if pathlib.PurePosixPath(name).name != name or name in (".", ".."):
        raise DataError(f"{folder}: {name[:60]!r} leads out of the folder")
    return name


def _json(path):
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not JSON: {str(error)[:100]}") from error
    if not isinstance(value, dict):
        raise DataError(f"{path} is no object of JSON")
    return value
