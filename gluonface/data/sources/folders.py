"""Faces in folders: a folder of images per person, or groups of these."""

from __future__ import annotations

import os
import pathlib
import typing

from ...files import StrPath
from .image_files import ImageFiles
from .person_folders import person_folders
from .photo_folder import find_others, find_photos

__all__ = ["IdentityFolders"]


class IdentityFolders(ImageFiles):
    """Folders with a folder of images per person, in which there may be further folders.

    Identities are numbered in the natural order of their names: ``p2`` before ``p10``.

    Parameters
    ----------
    root : str, pathlib.Path, or a sequence of these
        Of several folders the same person's are joined.
    person : {"first", "last"}, int, optional
        See `person_folders`.

    Raises
    ------
    InputError
        When there are no images, one lies in no person's folder, or which folder is the person has
        to be said.
    """

    kind = "folders"

    def __init__(self, root: StrPath | typing.Sequence[StrPath], person: str | int | None = None):
        roots = [root] if isinstance(root, (str, os.PathLike)) else root
        self.roots = [pathlib.Path(one) for one in roots]
        found = [(one, name) for one in self.roots for name in find_photos(one)]
        self.names = [name for _, name in found]
        labels, self.keys, self.groups = person_folders(
            self.names, person, ", ".join(map(str, self.roots))
        )
        super().__init__([str(one / name) for one, name in found], labels)

    def relative_name(self, index: int) -> str:
        """See `FaceSource`. The path from the root."""
        return self.names[index]

    def ignored(self) -> list[tuple[str, str]]:
        """See `FaceSource`. Files of other kinds and empty folders."""
        return [
            (str(one / name), reason) for one in self.roots for name, reason in find_others(one)
        ]
