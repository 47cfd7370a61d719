"""Photographs in folders that are still to be aligned, and files with their landmarks."""

from __future__ import annotations

import os
import pathlib
import re

import numpy as np

from ...errors import DataError, InputError
from ...files import StrPath, parse_json
from ..text_files import numbered_lines, read_text, split_fields

__all__ = ["SUFFIXES", "find_others", "find_photos", "is_junk", "is_photo", "read_landmarks"]

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".heic", ".heif", ".avif")
# What systems and programs leave beside images; hidden files and folders are passed over too.
_JUNK = {
    "__macosx",
    "@eadir",
    "#recycle",
    "$recycle.bin",
    "thumbs.db",
    "ehthumbs.db",
    "desktop.ini",
}


def find_photos(root: StrPath) -> list[str]:
    """Return the photographs below a folder, as sorted POSIX paths relative to it.

    Folders that cannot be read are passed over; `find_others` names them.

    Hidden files and folders, and what systems leave (``__MACOSX``, ``@eaDir``, ``Thumbs.db``), are
    ignored; links to folders are followed.

    Raises
    ------
    InputError
        If the folder is not there, cannot be read or has none.
    """
    root = pathlib.Path(root)
    if not root.is_dir():
        raise InputError(f"{root} is not a folder; one with photographs was expected")
    failed: list[OSError] = []
    found = [name for _, _, files in _walk(root, failed) for name in files if is_photo(name)]
    if failed and not found:
        raise InputError(f"{failed[0].filename} cannot be read: {failed[0].strerror}")
    if not found:
        raise InputError(f"{root} has no photographs ({', '.join(SUFFIXES)}), in folders or not")
    return sorted(found)


def find_others(root: StrPath) -> list[tuple[str, str]]:
    """Return the files below `root` that are no photographs, and the empty folders.

    Returns
    -------
    list of (str, str)
        Sorted POSIX paths of files with other suffixes, and of folders that are empty or cannot be
        read, and the reason.
        Hidden ones, and files in `root` itself, such as a report, are not among them.
    """
    found: list[tuple[str, str]] = []
    failed: list[OSError] = []
    root = pathlib.Path(root)
    for folder, folders, files in _walk(root, failed):
        if not folder:
            continue
        if not folders and not files:
            found.append((folder, "it is an empty folder"))
        reason = f"it is none of {', '.join(SUFFIXES)}; convert it"
        found += [(name, reason) for name in files if not is_photo(name)]
    for error in failed:
        name = pathlib.Path(error.filename).relative_to(root).as_posix()
        found.append((name, f"the folder cannot be read: {error.strerror}"))
    return sorted(found)


def is_photo(name: str) -> bool:
    """Return whether a name has the suffix of an image, in any case."""
    return name.lower().endswith(SUFFIXES)


def is_junk(name: str) -> bool:
    """Return whether a file or folder of this name is hidden, or left by a system or program."""
    return name.startswith(".") or name.lower() in _JUNK


def _walk(root, failed):
    """Yield each folder, its folders and its files, as POSIX paths relative to `root`.

    The errors of folders that cannot be read go into `failed`.
    """
    for path, folders, files in os.walk(root, onerror=failed.append, followlinks=True):
        place = pathlib.Path(path)
        here = place.relative_to(root).as_posix() if place != root else ""
        folders[:] = [name for name in folders if not is_junk(name)]
        if os.path.islink(path) and os.path.realpath(path) in (
            os.path.realpath(parent) for parent in place.parents
        ):
            folders[:], files = [], []  # a link to a folder that contains it: an endless loop
        below = f"{here}/" if here else ""
        files = [below + name for name in files if not is_junk(name)]
        yield here, [below + name for name in folders], files


def read_landmarks(path: StrPath) -> dict[str, np.ndarray]:
    """Read the landmarks of photographs.

    Parameters
    ----------
    path : str or pathlib.Path
        ``.json``: an object, photograph -> list of 5 (or 68) pairs [x, y]. Anything else: a line
        per photograph, its path and then x1 y1 ... x5 y5 (or 68 pairs), separated by blanks, tabs
        or commas; after 5 points further columns, such as a detector's score, are ignored. Lines
        that begin with ``#`` are ignored too.

    Returns
    -------
    dict of str to numpy.ndarray (5, 2) or (68, 2)

    Raises
    ------
    InputError
        If the file is not there.
    DataError
        Names the line that is something else, or the photograph that is named twice.
    """
    path = pathlib.Path(path)
    if path.suffix.lower() == ".json":
        return _from_json(read_text(path), path)
    result = {}
    for number, line in numbered_lines(path):
        name, points = _landmarks(line)
        if points is None:
            raise DataError(
                f"{path}: line {number} is {line[:60]!r}; a photograph and the x y of its 5 (or "
                "68) landmarks were expected"
            )
        if name in result:
            raise DataError(f"{path}: line {number} gives {name} a second time")
        result[name] = points
    if not result:
        raise DataError(f"{path} holds no landmarks")
    return result


def _landmarks(line):
    """Return (photograph, points or None) of a line."""
    if "\t" in line or "," in line:
        name, *fields = split_fields(line)
        return name, _points(fields)
    # Names may hold blanks; they end with the suffix of an image.
    for end in re.finditer(rf"({'|'.join(map(re.escape, SUFFIXES))})(?=\s)", line, re.IGNORECASE):
        points = _points(line[end.end() :].split())
        if points is not None:
            return line[: end.end()].strip(), points
    name, *fields = line.split()
    return name, _points(fields)


def _from_json(text, path):
    tree = parse_json(text, path)
    if not isinstance(tree, dict) or not tree:
        raise DataError(f"{path}: an object {{photograph: [[x, y], ...]}} was expected")
    result = {}
    for name, value in tree.items():
        try:
            result[name] = np.array(value, np.float64)
        except (TypeError, ValueError):
            result[name] = np.empty(0)
        if result[name].shape not in ((5, 2), (68, 2)) or not np.isfinite(result[name]).all():
            raise DataError(
                f"{path}: {name} has {str(value)[:60]}; 5 (or 68) pairs [x, y] were expected"
            )
    return result


def _points(fields):
    """Return the points that fields of text hold, or None."""
    count = 136 if len(fields) >= 136 else 10
    try:
        values = np.array([float(field) for field in fields[:count]])
    except ValueError:
        return None
    if len(values) < count or not np.isfinite(values).all():
        return None
    return values.reshape(-1, 2)
