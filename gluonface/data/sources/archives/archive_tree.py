"""Folders of people in zip and tar archives."""

from __future__ import annotations

import array
import pathlib
import typing

from ....errors import DataError, InputError
from ..list_columns import shorten
from ..person_folders import person_folders
from ..photo_folder import SUFFIXES, is_junk, is_photo
from .archive_files import ArchiveFiles
from .open_archive import Archive

__all__ = ["ArchiveTree", "is_image_member"]


def is_image_member(name: str) -> bool:
    """Return whether a member is an image, and neither hidden nor junk."""
    return is_photo(name) and not any(map(is_junk, name.split("/")))


class ArchiveTree(ArchiveFiles):
    """Folders with a folder of images per person, in one archive or several that are one set.

    The folders that are above all images of all archives are no groups and are left away.

    Parameters
    ----------
    archives : list of Archive
    person : {"first", "last"}, int, optional
        See `person_folders`.

    Raises
    ------
    InputError
        When there are no images; else as for `IdentityFolders`.
    DataError
        When a name is there twice.
    """

    def __init__(
        self,
        archives: typing.Sequence[Archive],
        person: str | int | None = None,
        kind: str = "archive",
    ):
        self.kind = kind
        where = str(archives[0].path) + (
            f" and {len(archives) - 1} more" if len(archives) > 1 else ""
        )
        members, names, self._others = array.array("i"), [], []
        seen: dict[str, pathlib.Path] = {}
        for number, archive in enumerate(archives):
            for place, name in enumerate(archive.names):
                if is_image_member(name):
                    if name in seen:
                        raise DataError(
                            f"{archive.path}: {name} is there twice"
                            + ("" if seen[name] == archive.path else f", also in {seen[name]}")
                            + "; a name for each image was expected"
                        )
                    seen[name] = archive.path
                    members.extend((number, place))
                    names.append(name)
                elif not any(map(is_junk, name.split("/"))):
                    reason = f"it is none of {', '.join(SUFFIXES)}; convert it"
                    self._others.append((f"{archive.path}: {name}", reason))
        if not names:
            raise InputError(
                f"{where} is {_title(kind)} without images ({', '.join(SUFFIXES)}); "
                f"{_content(archives)}"
            )
        cut = _common_folders(names)
        names = [name[cut:] for name in names]
        labels, self.keys, self.groups = person_folders(names, person, where)
        self._cut = cut
        super().__init__(archives, members, labels)

    def relative_name(self, index: int) -> str:
        """See `FaceSource`. The path below the folders that all images have in common."""
        return self.member(index)[self._cut :]

    def ignored(self) -> list[tuple[str, str]]:
        """See `FaceSource`. Members that were passed over, and files of other kinds."""
        return super().ignored() + self._others


def _title(kind):
    return "a zip archive" if kind == "zip" else "a tar archive"


def _content(archives):
    first = [name for archive in archives for name in archive.names][:3]
    return f"it holds {shorten(first)}" if first else "it holds no files"


def _common_folders(names):
    """Return the length of the folders that all names begin with; a folder is left to each."""
    folders = [name.rpartition("/")[0] for name in names]
    common = folders[0].split("/")[:-1]
    for folder in set(folders):
        parts = folder.split("/")[:-1]
        same = next((i for i, (a, b) in enumerate(zip(common, parts)) if a != b), None)
        common = common[: min(len(common), len(parts)) if same is None else same]
    return sum(len(part) + 1 for part in common)
