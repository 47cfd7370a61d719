"""The index of a .rec file: text, one "key<tab>offset" per line."""

from __future__ import annotations

import pathlib
import typing
import warnings

import numpy as np

from ...errors import DataError, InputError
from ...files import StrPath, atomic_write, require_no_stand_in
from .record import FRAME, HEADER, LENGTH, MAGIC

__all__ = ["how_to_rebuild", "read_index", "rebuild_index", "scan_records"]

_CHUNK = 1 << 24  # bytes that are parsed at once


def how_to_rebuild(path: StrPath) -> str:
    """Return the sentence that tells a user how to make the index of `path` again."""
    rec = pathlib.Path(path).with_suffix(".rec")
    return (
        "Make the index again from the .rec file: "
        f'python -c "from gluonface.data import rebuild_index; rebuild_index({str(rec)!r})"'
    )


def _parse(text, number, path):
    """Parse whole lines "key<tab>offset" of an index into int64 (lines, 2).

    Parameters
    ----------
    text : bytes
        Whole lines.
    number : int
        How many lines came before, for messages.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", DeprecationWarning)  # what NumPy says of bad text
            values = np.fromstring(text, np.int64, sep=" ")
        if len(values) == 2 * (text.count(b"\n") + (not text.endswith(b"\n"))):
            return values.reshape(-1, 2)
    except (DeprecationWarning, ValueError, OverflowError):
        pass
    pairs = []
    for at, line in enumerate(
        text.split(b"\n")
    ):  # slow: for blank lines, and to find the wrong line
        fields = line.split()
        if not fields:
            continue
        try:
            key, offset = (max(-(1 << 62), min(int(field), 1 << 62)) for field in fields)
            pairs.append((key, offset))
        except ValueError as error:
            raise DataError(
                f"{path}: line {number + at + 1} is {line[:60]!r}; a key and an offset, separated "
                f"by a tab, were expected. {how_to_rebuild(path)}"
            ) from error
    return np.array(pairs, np.int64).reshape(-1, 2)


def read_index(path: StrPath) -> tuple[np.ndarray | None, np.ndarray]:
    """Read an index file.

    Parameters
    ----------
    path : str or pathlib.Path
        Text, one "key<tab>offset" per line, in any order.

    Returns
    -------
    tuple of (numpy.ndarray or None, numpy.ndarray)
        Keys and offsets, int64 (n,), in the order of the lines; keys is None when they are
        0, 1, 2, ..., which saves half the memory.

    Raises
    ------
    DataError
        Names the line that is not a key and an offset.
    """
    offsets: list[np.ndarray] = []
    keys: list[np.ndarray] = []  # empty as long as the keys are 0, 1, 2, ...
    count, lines, rest, consecutive = 0, 0, b"", True
    with open(path, "rb") as file:
        while True:
            block = file.read(_CHUNK)
            text = rest + block
            cut = text.rfind(b"\n") + 1 if block else len(text)
            text, rest = text[:cut], text[cut:]
            if text:
                pairs = _parse(text, lines, path)
                expected = np.arange(count, count + len(pairs), dtype=np.int64)
                if consecutive and not np.array_equal(pairs[:, 0], expected):
                    consecutive = False
                    keys.append(np.arange(count, dtype=np.int64))
                if not consecutive:
                    keys.append(pairs[:, 0].copy())
                offsets.append(pairs[:, 1].copy())
                count += len(pairs)
                lines += text.count(b"\n")
            if not block:
                break
    found = np.concatenate(offsets) if offsets else np.empty(0, np.int64)
    return (None if consecutive else np.concatenate(keys)), found


def scan_records(
    path: pathlib.Path, size: int | None = None
) -> typing.Iterator[tuple[int, int, bytes]]:
    """Yield every record of a .rec file by its frames, without the index.

    Parameters
    ----------
    path : pathlib.Path
    size : int, optional
        Scan only so many bytes of the file; by default all.

    Yields
    ------
    tuple of (int, int, bytes)
        Offset, length of the payload (of its first part), and the payload's first 24 bytes.

    Raises
    ------
    DataError
        When the file is damaged; names the byte at which.
    """
    require_no_stand_in(path)
    size = path.stat().st_size if size is None else size
    count = 0
    with open(path, "rb") as file:
        at = 0
        while at < size:
            head = file.read(FRAME.size + HEADER.size)
            magic, word = FRAME.unpack_from(head) if len(head) >= FRAME.size else (0, 0)
            kind, length = word >> 29, word & LENGTH
            end = at + FRAME.size + (length + 3) // 4 * 4
            if magic != MAGIC or end > size or kind > 3:
                raise DataError(
                    f"{path}: no whole record at byte {at} of {size} (found {head[:8]!r}); "
                    f"the {count} records before it are readable. Fetch or write it again"
                )
            if kind in (0, 1):
                yield at, length, head[FRAME.size : FRAME.size + length]
                count += 1
            at = end
            file.seek(at)


def rebuild_index(path: StrPath) -> int:
    """Write the index of a .rec file, in the same folder; an index that is there is replaced.

    The keys are 0, 1, 2, ... in InsightFace's layout; in a plain file they are the ids of the
    records, or 0, 1, 2, ... where these repeat.

    Parameters
    ----------
    path : str or pathlib.Path
        The .rec file.

    Returns
    -------
    int
        How many records it has.

    Raises
    ------
    DataError
        When the file is damaged; names the byte at which.
    """
    path = pathlib.Path(path)
    offsets, ids, plain = [], [], True
    if not path.exists() or path.stat().st_size == 0:
        raise InputError(f"{path} is not there or empty; a .rec file was expected")
    for at, length, head in scan_records(path):
        whole = length >= HEADER.size
        flag, _, number, _ = HEADER.unpack_from(head) if whole else (0, 0, -1, 0)
        if at == 0:
            plain = not (flag and length == HEADER.size + 4 * flag)
        offsets.append(at)
        ids.append(number)
    keys = ids if plain and len(set(ids)) == len(ids) and min(ids) >= 0 else range(len(ids))
    with atomic_write(path.with_suffix(".idx"), "w", encoding="ascii") as file:
        file.writelines(f"{key}\t{offset}\n" for key, offset in zip(keys, offsets))
    return len(offsets)
