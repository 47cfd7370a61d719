"""Results of long work on disk, each with a checksum, so that interrupted work can continue."""

from __future__ import annotations

import collections
import json
import os
import pathlib
import typing
import zlib

from ...files import StrPath, atomic_write, open_to_write

__all__ = ["Journal", "file_stamp", "read_checked_json", "write_checked_json"]


def file_stamp(path: StrPath) -> list[int]:
    """Return [bytes, modification time in ns] of a file; it changes when the file does."""
    status = os.stat(path)
    return [status.st_size, status.st_mtime_ns]


def write_checked_json(path: StrPath, value) -> None:
    """Write `value` as one line of JSON with a checksum, whole or not at all."""
    with atomic_write(path, "w", encoding="utf-8") as file:
        file.write(_line(value))


def read_checked_json(path: StrPath):
    """Return what `write_checked_json` wrote; None when it is missing or its checksum is wrong."""
    try:
        text = pathlib.Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return _parse(text.rstrip("\n"))


def _line(value):
    text = json.dumps(value)
    return f"{zlib.crc32(text.encode()):08x} {text}\n"


def _parse(line):
    """Return the value of a line, or None when its checksum is wrong."""
    head, _, text = line.partition(" ")
    if head != f"{zlib.crc32(text.encode('utf-8', 'replace')):08x}":
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


class Journal(collections.UserDict):
    """A dict of results: one JSON line each with its checksum, on disk as soon as it is set.

    Parameters
    ----------
    path : str or pathlib.Path
        The journal. A damaged line is ignored, and so are the lines after it.
    settings : dict
        What the results depend on besides their key, as JSON can hold it. With other settings the
        journal is started anew.
    check : callable, optional
        Whether a result can be one of these: a journal may come from elsewhere. Others are ignored.

    Attributes
    ----------
    resumed : int
        How many results were there.
    replaced : list
        The results of an earlier journal with other settings.

    Examples
    --------
    >>> with Journal("lengths.jsonl", {"unit": "letters"}) as journal:
    ...     for key in ("anna", "bo"):
    ...         if key not in journal:
    ...             journal[key] = len(key)
    >>> with Journal("lengths.jsonl", {"unit": "letters"}) as journal:
    ...     journal.resumed, journal.get("bo")
    (2, 2)
    """

    def __init__(
        self,
        path: StrPath,
        settings: dict,
        check: typing.Callable[[typing.Any], bool] = lambda result: True,
    ):
        self.path = pathlib.Path(path)
        first = {"settings": settings}
        lines = self._lines()
        results = {
            line["key"]: line["result"]
            for line in lines[1:]
            if isinstance(line, dict)
            and isinstance(line.get("key"), str)
            and "result" in line
            and check(line["result"])
        }
        same = bool(lines) and lines[0] == json.loads(json.dumps(first))
        self.replaced = [] if same else list(results.values())
        self._file = open_to_write(self.path, "w", encoding="utf-8")
        self._file.write(_line(first))
        super().__init__(results if same else {})
        self.resumed = len(self)

    def _lines(self):
        try:
            text = self.path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return []
        lines = []
        for line in text.split("\n")[:-1]:  # after the last newline: nothing, or half a line
            lines.append(_parse(line))
            if lines[-1] is None:
                return lines[:-1]
        return lines

    def __setitem__(self, key, result):
        super().__setitem__(key, result)
        self._file.write(_line({"key": key, "result": result}))
        self._file.flush()

    def close(self):
        """Close the file; it stays for the next run."""
        self._file.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
