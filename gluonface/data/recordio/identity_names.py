"""The names of the identities of a training set: its ``identities.csv``."""

from __future__ import annotations

import csv
import pathlib

from ...errors import DataError
from ...files import StrPath
from ..text_files import read_text, whole_number

__all__ = ["FILE", "read_identity_names"]

FILE = "identities.csv"


def read_identity_names(folder: StrPath) -> dict[int, str]:
    """Return the name of each identity that has one, from ``identities.csv`` in a folder.

    Parameters
    ----------
    folder : str or pathlib.Path
        The folder of the records.

    Returns
    -------
    dict of int to str
        Empty when there is no such file, or it has no columns ``identity`` and ``name``.

    Raises
    ------
    DataError
        Names the line that is something else.
    """
    path = pathlib.Path(folder, FILE)
    if not path.is_file():
        return {}
    text = read_text(path)
    try:
        rows = [row for row in csv.reader(text.split("\n")) if row]
    except csv.Error as error:
        raise DataError(f"{path} is no table: {error}. Write it again, or remove it") from error
    if not rows or rows[0][0] != "identity" or "name" not in rows[0]:
        return {}
    place = rows[0].index("name")
    names: dict[int, str] = {}
    for line, row in enumerate(rows[1:], start=2):
        number = whole_number(row[0])
        if number is None or len(row) <= place:
            raise DataError(
                f"{path}: row {line} is {','.join(row)[:60]!r}; a line as "
                f"{','.join(rows[0])} was expected. Correct it, or remove the file: the identities "
                "are then numbers"
            )
        if row[place]:
            names.setdefault(number, row[place])  # of identities that were joined: the first
    return names
