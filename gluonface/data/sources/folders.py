"""Faces in folders: a folder of images per person, or groups of these."""

from __future__ import annotations

import itertools
import os
import pathlib
import typing

import numpy as np

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
        found = [find_photos(one) for one in self.roots]
        self._first = np.cumsum([0, *map(len, found)])
        self.names = found[0] if len(found) == 1 else list(itertools.chain.from_iterable(found))
        self.labels, self.keys, self.groups = person_folders(
            self.names, person, ", ".join(map(str, self.roots))
        )

    def name(self, index: int) -> str:
        """See `FaceSource`. The path; it is put together here, for millions would fill memory."""
        index = range(len(self.names))[index]
        root = self.roots[int(np.searchsorted(self._first, index, "right")) - 1]
        return os.path.join(root, self.names[index])

    def relative_name(self, index: int) -> str:
        """See `FaceSource`. The path from the root."""
        return self.names[index]

    def ignored(self) -> list[tuple[str, str]]:
        """See `FaceSource`. Files of other kinds and empty folders."""
        return [
            (str(one / name), reason) for one in self.roots for name, reason in find_others(one)
        ]
