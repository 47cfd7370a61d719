"""Files below a folder or in an archive, by their POSIX paths. Nothing outside is ever read."""

from __future__ import annotations

import os
import pathlib
import posixpath
import typing

from ...errors import DataError, InputError
from ...files import StrPath
from ..formats.compressed import read_unpacked
from ..formats.file_kind import FileKind, recognise_file
from ..formats.member_names import MOST_BYTES
from ..formats.tar_members import TarMembers, stream_tar
from ..formats.zip_members import ZipMembers
from ..text_files import decode_text
from .photo_folder import is_junk

__all__ = ["FileTree", "open_tree"]

_HELD = 4 << 30  # bytes of a compressed tar, which has no random access, that are kept in memory


class FileTree:
    """The files below a folder.

    Parameters
    ----------
    root : str or pathlib.Path
    """

    def __init__(self, root: StrPath):
        self.root = pathlib.Path(root)

    def __str__(self):
        return str(self.root)

    def place(self, name: str) -> str:
        """Return what messages call a file."""
        return f"{self}/{name}" if name else str(self)

    def within(self, name: str, folder: str = "") -> str | None:
        """Return a path that is relative to a folder as one from the root; None if it leads out."""
        path = posixpath.normpath(posixpath.join(folder, name))
        if path.startswith(("/", "../")) or path == ".." or "\0" in path:
            return None
        return "" if path == "." else path

    def is_file(self, name: str) -> bool:
        """Return whether there is such a file; `name` is one that `within` returned."""
        try:
            return (self.root / name).is_file()
        except (OSError, ValueError):  # a name that is too long
            return False

    def is_folder(self, name: str) -> bool:
        """Return whether there is such a folder."""
        try:
            return (self.root / name).is_dir()
        except (OSError, ValueError):
            return False

    def entries(self, name: str = "") -> list[str]:
        """Return the names of the files and folders in a folder, sorted, without hidden ones."""
        return sorted(filter(_counts, os.listdir(self.root / name)))

    def read(self, name: str) -> bytes:
        """Return the content of a file.

        Raises
        ------
        DataError
            When it cannot be read.
        """
        try:
            return (self.root / name).read_bytes()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise DataError(f"{self.place(name)} cannot be read: {reason}") from error

    def read_text(self, name: str) -> str:
        """Return the text of a file; DataError when it is none."""
        return decode_text(self.read(name), self.place(name))


class _Archive(FileTree):
    """The files of an archive: `numbers` by name, `members` with their `read`."""

    def __init__(self, root, names: typing.Iterable[str], read: typing.Callable[[int], bytes]):
        super().__init__(root)
        self._numbers: dict[str, int] = {}
        self._folders: dict[str, set[str]] = {"": set()}
        self._read = read
        for number, name in enumerate(names):
            if name in self._numbers:
                raise DataError(f"{root} holds {name} twice; which of them is meant is not known")
            self._numbers[name] = number
            while name:
                folder, _, last = name.rpartition("/")
                known = folder in self._folders
                self._folders.setdefault(folder, set()).add(last)
                if known:
                    break
                name = folder

    def is_file(self, name):
        return name in self._numbers

    def is_folder(self, name):
        return name in self._folders

    def entries(self, name=""):
        return sorted(filter(_counts, self._folders[name]))

    def read(self, name):
        if name not in self._numbers:
            raise DataError(f"{self.root} holds no file {name}")
        return self._read(self._numbers[name])


def open_tree(path: StrPath, kind: FileKind | None = None) -> FileTree:
    """Return the files below a folder, or those in a zip or tar archive.

    Parameters
    ----------
    path : str or pathlib.Path
    kind : FileKind, optional
        What the file was recognised as.

    Raises
    ------
    InputError, DataError
        When it is neither, or the archive cannot be read.
    """
    path = pathlib.Path(path)
    if path.is_dir():
        return FileTree(path)
    if not path.exists():
        raise InputError(f"{path} is not there; a folder or an archive of images was expected")
    kind = kind or recognise_file(path)
    if kind.form == "tar" and kind.compression:
        held: dict[str, bytes] = {}
        contents: list[bytes] = []
        total = 0
        for name, data, link in stream_tar(path, []):
            contents.append(contents[link] if link is not None else data or b"")
            held[name] = contents[-1]
            total += len(data or b"")
            if total > _HELD:
                raise InputError(
                    f"{path} unpacks to more than {_HELD:,} bytes; unpack it, and name the folder"
                )
        return _Archive(path, held, list(held.values()).__getitem__)
    if kind.form in ("zip", "tar") and not kind.compression:
        members = ZipMembers(path) if kind.form == "zip" else TarMembers(path)
        return _Archive(path, members.names, members.read)
    raise InputError(f"{path} is {kind.title}; a folder, or a zip or tar of one, was expected")


def read_list_text(path: StrPath) -> str:
    """Return the text of a list, which may be compressed.

    Raises
    ------
    InputError, DataError
        When it cannot be read or is not text.
    """
    return decode_text(read_unpacked(path, 16 * MOST_BYTES), path)


def _counts(name):
    return not is_junk(name)
