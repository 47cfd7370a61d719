"""One interface for the three ways in which an archive is read in place."""

from __future__ import annotations

import contextlib
import pathlib
import threading
import typing

from ....errors import DataError
from ....files import StrPath
from ...formats.file_kind import FileKind
from ...formats.tar_members import TarMembers, stream_tar
from ...formats.zip_members import ZipMembers

__all__ = ["Archive", "StreamedTar", "open_archives"]

_KEPT_OPEN = 200  # archives of a set; a process may have 1024 files open
_LABEL = (1 << 20) + 1  # bytes of a label that are kept; one more than it may have
_SHARED = 64 << 20  # bytes of files that are kept for the hard links to them
_AHEAD = 256  # files of a compressed tar that are kept for readers that come a little later


class Archive(typing.Protocol):
    """What `ZipMembers`, `TarMembers` and `StreamedTar` have in common."""

    path: pathlib.Path
    names: list[str]
    passed_over: list[tuple[str, str]]

    def read(self, index: int) -> bytes:
        """Return the content of file `index`."""


class StreamedTar:
    """The files in a gzip, xz or bzip2 tar: read in its order, or slowly from the beginning.

    Parameters
    ----------
    path : str or pathlib.Path
    wanted : callable
        Name -> whether the content of such a file may be asked for.
    known : callable
        Name -> whether the content is returned by `contents`, in the first pass.
    """

    def __init__(
        self,
        path: StrPath,
        wanted: typing.Callable[[str], bool],
        known: typing.Callable[[str], bool],
    ):
        self.path = pathlib.Path(path)
        self._wanted = wanted
        self.names: list[str] = []
        self.passed_over: list[tuple[str, str]] = []
        self.contents: dict[int, bytes] = {}
        self._links: dict[int, int] = {}
        for name, data, link in stream_tar(path, self.passed_over, known):
            if data is not None:
                self.contents[len(self.names)] = data[:_LABEL]
            if link is not None:
                self._links[len(self.names)] = link
            self.names.append(name)
        self._linked = set(self._links.values())
        self._start()

    def _start(self):
        self._lock = threading.Lock()
        self._stream: typing.Any = None
        self._next = 0
        self._kept: dict[int, bytes] = {}
        self._shared: dict[int, bytes] = {}  # what hard links name

    def read(self, index: int) -> bytes:
        """Return the content of file `index`; what comes before it is read too."""
        index = self._links.get(index, index)
        if index in self.contents:
            return self.contents[index]
        with self._lock:
            if index in self._shared:
                return self._shared[index]
            if index in self._kept:
                return self._kept.pop(index)
            if self._stream is None or index < self._next:
                self.close()
                self._stream = stream_tar(self.path, [], self._wanted)
            while self._next <= index:
                try:
                    name, data, _ = next(self._stream)
                except StopIteration:
                    name, data = "", None
                if name != self.names[self._next]:
                    raise DataError(f"{self.path} has changed; open it again")
                if data is not None:
                    self._kept[self._next] = data
                    if self._next in self._linked:
                        self._shared[self._next] = data
                        while sum(map(len, self._shared.values())) > _SHARED:
                            self._shared.pop(next(iter(self._shared)))
                    if len(self._kept) > _AHEAD:  # these are never asked for
                        self._kept.pop(next(iter(self._kept)))
                self._next += 1
            if self._next == len(self.names):
                self._stream.close()
            return self._kept.pop(index)

    def close(self):
        """Forget where the reading is."""
        if self._stream is not None:
            with contextlib.suppress(DataError):
                self._stream.close()
        self._stream, self._next, self._kept = None, 0, {}

    def __getstate__(self):  # a copy in another process reads from the beginning
        state = self.__dict__.copy()
        for name in ("_lock", "_stream", "_next", "_kept", "_shared"):
            state.pop(name)
        return state

    def __setstate__(self, state):
        self.__dict__.update(state)
        self._start()


def open_archives(
    paths: typing.Sequence[pathlib.Path],
    kinds: typing.Sequence[FileKind],
    wanted: typing.Callable[[str], bool],
    known: typing.Callable[[str], bool] = lambda name: False,
) -> list[Archive]:
    """Open archives; `wanted` and `known` are as for `StreamedTar`."""
    keep = len(paths) <= _KEPT_OPEN
    archives: list[Archive] = []
    for path, kind in zip(paths, kinds):
        if kind.form == "zip":
            archives.append(ZipMembers(path, keep))
        elif kind.compression is None:
            archives.append(TarMembers(path, keep))
        else:
            archives.append(StreamedTar(path, wanted, known))
    return archives
