"""Pairs in Arrow streams: CVLface's evaluation sets."""

from __future__ import annotations

import pathlib

import numpy as np

from ....errors import DataError, InputError
from ....files import sha256
from ...formats.arrow_rows import ArrowRows, open_saved
from .face_pairs import FacePairs

__all__ = ["open_arrow_pairs"]


def open_arrow_pairs(path: pathlib.Path, split: str | None = None) -> FacePairs:
    """Return the pairs of a folder of ``save_to_disk``.

    It has 2n rows with the columns image, index and is_same. Sorted by index, rows 2i and 2i + 1
    are pair i; is_same stands on both.

    Parameters
    ----------
    path : pathlib.Path
    split : str, optional
        As for `open_saved`.

    Raises
    ------
    InputError, DataError
        When it has other columns, an odd number of rows, or contradicts itself.
    """
    rows = open_saved(path, split)
    if (path / "metadata.pt").is_file() and "is_same" not in rows.columns:
        raise InputError(
            f"{path} is no set of pairs: it has metadata.pt beside its images. Templates (IJB) go "
            f"to `gluonface eval ijb --meta {path}`, probes and a gallery (TinyFace) to "
            f"`gluonface eval identification --set {path}`"
        )
    index, same = _whole(rows, "index"), rows.values("is_same")
    if len(rows) % 2:
        raise DataError(f"{path} has {len(rows)} rows; two a pair were expected")
    order = np.argsort(index, kind="stable")
    doubled = index[order][1:] == index[order][:-1]
    if doubled.any():
        number = index[order][1:][doubled][0]
        raise DataError(f"{path} has the index {number} twice; each image has its own")
    for first, second in order.reshape(-1, 2).tolist():
        if same[first] not in (0, 1) or same[first] != same[second]:
            raise DataError(
                f"{path}: the images with the index {index[first]} and {index[second]} are a pair, "
                f"but is_same is {same[first]} and {same[second]}"
            )
    read = rows.images()
    pairs = FacePairs(
        path.name if split is None else f"{path.name}-{split}",
        order.reshape(-1, 2),
        [bool(same[row]) for row in order[::2].tolist()],
        read,
        lambda number: f"{path}: row {number}",
        len(rows),
        inputs={str(file): sha256(file) for file in sorted(path.rglob("*.arrow"))},
    )
    if len(rows):
        read(0)  # images that are not in the file are an error now
    return pairs


def _whole(rows: ArrowRows, column: str) -> np.ndarray:
    values = rows.values(column)
    if not all(isinstance(value, int) for value in values):
        raise DataError(f"{rows.name}: its column {column} does not hold whole numbers alone")
    return np.array(values, np.int64)
