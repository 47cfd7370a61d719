"""Faces in list files: a line per image with its path, and its identity or not."""

from __future__ import annotations

import logging
import os
import pathlib
import typing

import numpy as np

from ...errors import InputError
from ...files import StrPath
from .image_files import ImageFiles
from .list_columns import read_image_table
from .person_folders import person_folders
from .source import number_keys

__all__ = ["ListFile"]

logger = logging.getLogger(__name__)


class ListFile(ImageFiles):
    """The images that list files name.

    Parameters
    ----------
    paths : str, pathlib.Path, or a sequence of these
        See `read_image_table`. Several lists are one set.
    root : str or pathlib.Path, optional
        The folder to which the paths in the lists are relative; by default that of the first list.
        Nothing outside it is read, also not through links.
    strip : str, optional
        A prefix to cut off the listed paths.
    columns, group
        As for `read_image_table`.
    person : {"first", "last"}, int, optional
        For lists of paths alone, see `person_folders`; by default the folder above the file.
    group_by_list : bool, default False
        The group of an image is the name of the list that it is in.
    allow_missing : bool, default False
        Go on when more than half of the images of a list are not there.

    Raises
    ------
    InputError
        When most of the images are not there, or a path leads out of the root.
    DataError
        Names the line that is something else.
    """

    kind = "list"

    def __init__(
        self,
        paths: StrPath | typing.Sequence[StrPath],
        root: StrPath | None = None,
        strip: str | None = None,
        columns: typing.Mapping[str, str] | None = None,
        group: typing.Sequence[str] | None = None,
        person: str | int | None = None,
        group_by_list: bool = False,
        allow_missing: bool = False,
    ):
        lists = [pathlib.Path(paths)] if isinstance(paths, (str, os.PathLike)) else (
            [pathlib.Path(path) for path in paths]
        )  # fmt: skip
        folder = pathlib.Path(root) if root is not None else lists[0].parent
        self._ignored: list[tuple[str, str]] = []
        names: list[str] = []
        files: list[str] = []
        identities: list[str | None] = []
        groups: list[str | None] = []
        points: list[np.ndarray | None] = []
        bare = []
        for path in lists:
            table = read_image_table(path, columns or {}, group)
            bare.append(table.identities is None)
            found = _Files(path, folder, strip).find(table.paths, table.lines, allow_missing)
            for row, (name, file) in enumerate(found):
                if file is None:
                    self._ignored.append((str(folder / name), "there is no such file"))
                    continue
                who = table.identities[row] if table.identities is not None else ""
                names.append(name)
                files.append(file)
                identities.append(who)
                of_row = None if table.groups is None else table.groups[row]
                groups.append(path.stem if group_by_list else of_row)
                points.append(None if table.points is None else table.points[row])
        if any(bare) and not all(bare):
            raise InputError(
                f"{lists[bare.index(True)]} has paths alone and {lists[bare.index(False)]} has "
                "identities; lists of one kind were expected"
            )
        if all(bare):
            labels, self.keys, of_folders = _people_of_paths(names, person, str(lists[0]))
            if of_folders is not None and not any(groups):
                groups = of_folders
        else:
            if person is not None:
                raise InputError(f"person={person!r}: {lists[0]} names the identities itself")
            labels, self.keys = number_keys(identities)
            self._ignored += [
                (file, "its label is -1, nobody") for file, n in zip(files, labels) if n < 0
            ]
        kept = np.flatnonzero(labels >= 0)
        if not len(kept):
            raise InputError(f"{lists[0]}: no image has an identity")
        self.names = [names[i] for i in kept]
        self.groups = [groups[i] for i in kept] if any(groups) else None
        self._points = [points[i] for i in kept] if any(p is not None for p in points) else None
        super().__init__([files[i] for i in kept], labels[kept])

    def relative_name(self, index: int) -> str:
        """See `FaceSource`. The path from the root, as it is listed."""
        return self.names[index]

    def points(self, index: int) -> np.ndarray | None:
        """See `FaceSource`. DeepGlint's lists have them."""
        return None if self._points is None else self._points[index]

    def ignored(self) -> list[tuple[str, str]]:
        """See `FaceSource`. Listed files that are not there."""
        return self._ignored


def _people_of_paths(names, person, where):
    """Return labels, keys and groups of paths alone: the folder above the file is the person."""
    if person is not None:
        return person_folders(names, person, where)
    loose = next((name for name in names if "/" not in name), None)
    if loose is not None:
        raise InputError(
            f"{where} has paths alone, and {loose} has no folder above it, which would be the "
            "person; a path and an identity a line were expected"
        )
    folders = [name.rpartition("/")[0] for name in names]
    last = {folder: folder.rpartition("/")[2] for folder in set(folders)}
    if len(set(last.values())) < len(last):  # equal names below two folders are two people
        logger.warning(
            "%s: some folders above the files have the same name below different folders; each "
            "path is a person of its own (%d, not %d). --person says otherwise",
            where,
            len(last),
            len(set(last.values())),
        )
        last = {folder: folder for folder in last}
    return (*number_keys([last[folder] for folder in folders]), None)


class _Files:
    """Finds the files of a list below its root, and nothing outside."""

    def __init__(self, path, root, strip):
        self.path, self.strip = path, strip
        self.root = root
        self.real = os.path.realpath(root)
        self._folders: dict[str, str] = {}  # folder -> where it really is

    def find(self, paths, lines, allow_missing):
        """Return (name, file or None if there is none) of each path; most must be there."""
        found = [self._one(path, line) for path, line in zip(paths, lines)]
        missing = [name for name, file in found if file is None]
        if len(missing) == len(found):
            raise InputError(
                f"{self.path}: none of the {len(found)} listed files is there; the first would be "
                f"{self.root / missing[0]}. {self._advice(paths[0])}"
            )
        if 2 * len(missing) > len(found) and not allow_missing:
            path = next(path for path, (_, file) in zip(paths, found) if file is None)
            raise InputError(
                f"{self.path}: {len(missing)} of {len(found)} listed files are not there; the "
                f"first would be {self.root / missing[0]}. {self._advice(path)}; --allow-missing "
                "goes on with those that are there (allow_missing=True)"
            )
        if missing:
            logger.warning(
                "%s: %d of %d listed files are not there, the first is %s; they are left out",
                self.path, len(missing), len(found), self.root / missing[0],
            )  # fmt: skip
        return found

    def _one(self, path, line):
        path = path.replace("\\", "/") if "/" not in path else path
        if self.strip and path.startswith(self.strip):
            path = path[len(self.strip) :]
        if path.startswith("/"):  # as written, where that is below the root
            real = self._real(path)
            if real is not None and self._inside(real):
                return os.path.relpath(real, self.real), path
        name = os.path.normpath(path.lstrip("/"))
        if name == ".." or name.startswith("../"):
            raise self._outside(path, line)
        file = os.path.join(self.root, name)
        real = self._real(file)
        if real is not None and self._inside(real):
            return name, file
        if real is not None or (path.startswith("/") and self._real(path) is not None):
            raise self._outside(path, line)
        return name, None

    def _real(self, file):
        """Return where a file really is, links followed; None if there is no such file."""
        folder, base = os.path.split(file)
        if folder not in self._folders:
            self._folders[folder] = os.path.realpath(folder)
        real = os.path.join(self._folders[folder], base)
        if os.path.islink(real):
            real = os.path.realpath(real)
        return real if os.path.isfile(real) else None

    def _inside(self, real):
        return real == self.real or real.startswith(self.real.rstrip("/") + "/")

    def _outside(self, file, line):
        return InputError(
            f"{self.path}: line {line}: {file} is outside {self.root}; a list may name files below "
            "its root only. --root DIR says where the images are (root=)"
        )

    def _advice(self, path):
        """Return what to do when no file is there: which prefix to cut off, if that helps."""
        parts = path.replace("\\", "/").split("/")
        for start in range(1, len(parts)):
            rest = "/".join(parts[start:])
            if rest and os.path.isfile(os.path.join(self.root, rest)):
                prefix = path[: len(path) - len(rest)]
                return f"{rest} is there: --strip {prefix} cuts the rest off (strip=)"
        return (
            "--root DIR says where the images are (root=), --strip PREFIX cuts a prefix off the "
            "listed paths (strip=)"
        )
