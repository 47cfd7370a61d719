"""A source whose images are files of their own."""

from __future__ import annotations

import hashlib
import os
import pathlib

import numpy as np

from .source import FaceSource

__all__ = ["ImageFiles"]


class ImageFiles(FaceSource):
    """Image files with the numbers of their identities.

    Parameters
    ----------
    paths : list of str
    labels : array (n,) int
    """

    def __init__(self, paths: list[str], labels):
        self.paths = paths
        self.labels = np.asarray(labels)

    def name(self, index: int) -> str:
        """See `FaceSource`."""
        return self.paths[index]

    def read(self, index: int) -> bytes:
        """See `FaceSource`."""
        return pathlib.Path(self.name(index)).read_bytes()

    def _all_paths(self):
        return map(self.name, range(len(self.labels)))

    def stamp(self) -> str:
        """See `FaceSource`. The SHA-256 of the paths and labels; files are not opened."""
        digest = hashlib.sha256()
        for label, path in zip(self.labels.tolist(), self._all_paths()):
            digest.update(f"{label}\t{path}\n".encode("utf-8", "surrogateescape"))
        return digest.hexdigest()

    def content_stamp(self) -> str:
        """See `FaceSource`. With the bytes and modification time of each file."""
        digest = hashlib.sha256(self.stamp().encode())
        for path in self._all_paths():
            try:
                state = os.stat(path)
                digest.update(f"{state.st_size} {state.st_mtime_ns}\n".encode())
            except OSError:  # reading it will tell
                digest.update(b"-\n")
        return digest.hexdigest()
