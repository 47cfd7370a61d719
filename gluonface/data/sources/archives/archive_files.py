"""What trees and WebDatasets in archives have in common: images are members of archives."""

from __future__ import annotations

import os
import typing

import numpy as np

from ..source import FaceSource
from .open_archive import Archive, StreamedTar

__all__ = ["ArchiveFiles"]


class ArchiveFiles(FaceSource):
    """Images that are files in archives.

    Parameters
    ----------
    archives : list of Archive
    members : array (n, 2) int
        The archive and the file in it of each image.
    labels : array (n,) int
    """

    def __init__(self, archives: typing.Sequence[Archive], members, labels):
        self.archives = archives
        self._members = np.asarray(members, np.int32).reshape(-1, 2)
        self.labels = np.asarray(labels)
        self.in_order = any(isinstance(archive, StreamedTar) for archive in archives)

    def member(self, index: int) -> str:
        """Return the name of the image in its archive."""
        archive, file = self._members[index].tolist()
        return self.archives[archive].names[file]

    def name(self, index: int) -> str:
        """See `FaceSource`. The archive and the name in it."""
        archive, file = self._members[index].tolist()
        return f"{self.archives[archive].path}: {self.archives[archive].names[file]}"

    def read(self, index: int) -> bytes:
        """See `FaceSource`."""
        archive, file = self._members[index].tolist()
        return self.archives[archive].read(file)

    def ignored(self) -> list[tuple[str, str]]:
        """See `FaceSource`. Members that were passed over."""
        return [item for archive in self.archives for item in archive.passed_over]

    def stamp(self) -> list:
        """See `FaceSource`. Path, bytes and modification time of the archives."""
        states = [(archive.path, os.stat(archive.path)) for archive in self.archives]
        return [[str(path), state.st_size, state.st_mtime_ns] for path, state in states]
