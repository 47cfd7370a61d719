"""Identities of a training set that are probably one person: their class centres are too near."""

from __future__ import annotations

import typing

import numpy as np

from ...errors import InputError
from ...files import StrPath
from ..text_files import write_table

__all__ = ["find_duplicate_identities", "write_duplicate_identities"]

BLOCK = 1 << 24  # cosines in memory at a time: 64 MB


def find_duplicate_identities(
    centers: np.ndarray, identities: np.ndarray, cosine: float, block: int = BLOCK
) -> list[tuple[int, int, float]]:
    """Find the pairs of identities whose centres are near to each other.

    Parameters
    ----------
    centers : array (C, D)
        A centre of each identity, of any length but zero.
    identities : array (C,) int
        Their numbers, in ascending order.
    cosine : float
        In (0, 1): pairs with at least this cosine are found.
    block : int, default 16777216
        Cosines in memory at a time.

    Returns
    -------
    list of (int, int, float)
        The smaller number, the larger one, the cosine; the nearest pair first.

    Raises
    ------
    InputError
        When `cosine` is out of range.
    """
    if not 0.0 < cosine < 1.0:
        raise InputError(f"cosine is {cosine:g}; more than 0 and less than 1 was expected")
    unit = np.asarray(centers, np.float32)
    unit = unit / np.linalg.norm(unit, axis=1, keepdims=True)
    found = []
    step = max(1, block // max(1, len(unit)))
    for start in range(0, len(unit), step):
        products = unit[start : start + step] @ unit[start:].T
        rows, columns = np.nonzero(products >= cosine)
        later = columns > rows
        for row, column in zip(rows[later].tolist(), columns[later].tolist()):
            pair = int(identities[start + row]), int(identities[start + column])
            found.append((*pair, float(products[row, column])))
    return sorted(found, key=lambda item: (-item[2], item[:2]))


def write_duplicate_identities(
    path: StrPath, pairs: typing.Iterable[tuple[int, int, float]]
) -> None:
    """Write the pairs as a map that `gluonface data merge --map` reads, the nearest first.

    Of a pair the smaller number is kept. An identity that is near to several joins the nearest.
    """
    rows, mapped = [], set()
    for kept, joined, cosine in pairs:
        if joined not in mapped:
            mapped.add(joined)
            rows.append((0, joined, 0, kept, f"{cosine:.4f}"))
    write_table(path, ("set", "identity", "set", "identity", "cosine"), rows)
