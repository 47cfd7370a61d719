"""Members of a tar archive: read in place, or in one pass where it is compressed."""

from __future__ import annotations

import array
import pathlib
import tarfile
import typing

import numpy as np

from ...errors import DataError
from ...files import StrPath
from .compressed import open_compressed
from .member_names import MOST_BYTES, clean_name
from .positioned_file import PositionedFile

__all__ = ["TarMembers", "stream_tar"]

_BLOCK = 512


class TarMembers:
    """The files in a tar archive that is not compressed. Nothing is extracted.

    Parameters
    ----------
    path : str or pathlib.Path
    keep_open : bool, default True
        As for `PositionedFile`.

    Attributes
    ----------
    names : list of str
        Of the files, in the archive's order, as POSIX paths without a leading ``./``. A hard link
        to an earlier file is a file with that one's content.
    passed_over : list of (str, str)
        Other members and why: symbolic links, devices, names that lead out of the archive.

    Raises
    ------
    InputError, DataError
        When it cannot be read, was cut short or is damaged; when a member has more than
        `MOST_BYTES`.
    """

    def __init__(self, path: StrPath, keep_open: bool = True):
        self.path = pathlib.Path(path)
        self._file = PositionedFile(path, keep_open)
        self.names: list[str] = []
        self.passed_over: list[tuple[str, str]] = []
        places = array.array("q")  # offset and size in turn; tuples would take ten times as much
        with open(path, "rb") as file:
            for name, member, target in _walk(path, _Forward(file), self.passed_over):
                if target is None:
                    places.extend((member.offset_data, member.size))
                    if member.offset_data + member.size > self._file.size:
                        raise _cut_short(path)
                else:
                    places.extend(places[2 * target : 2 * target + 2])
                self.names.append(name)
        self._places = np.frombuffer(places, np.int64).reshape(-1, 2)

    def __len__(self):
        return len(self.names)

    def size(self, index: int) -> int:
        """Return the bytes of file `index`."""
        return int(self._places[index, 1])

    def read(self, index: int) -> bytes:
        """Return the content of file `index`."""
        offset, size = self._places[index].tolist()
        return self._file.read(offset, size)


def stream_tar(
    path: StrPath,
    passed_over: list[tuple[str, str]],
    wanted: typing.Callable[[str], bool] = lambda name: True,
) -> typing.Iterator[tuple[str, bytes | None, int | None]]:
    """Yield (name, content, link) of the files of a gzip, xz or bzip2 tar, in its order.

    A hard link to an earlier file has that one's number, and no content; else `link` is None.

    Parameters
    ----------
    path : str or pathlib.Path
    passed_over : list
        Other members are appended, as for `TarMembers`.
    wanted : callable, optional
        Name -> whether the content is read; in its place stands None if not.

    Raises
    ------
    InputError, DataError
        As for `TarMembers`.
    """
    with open_compressed(path) as file:
        stream = _Forward(file)
        for name, member, link in _walk(path, stream, passed_over):
            if link is not None or not wanted(name):
                yield name, None, link
                continue
            stream.seek(member.offset_data)
            data = stream.read(member.size)
            if len(data) < member.size:
                raise _cut_short(path)
            yield name, data, None


class _Forward:
    """A file that tarfile reads, which never goes back, and reads within bounds."""

    def __init__(self, file):
        self._file, self._at = file, 0
        self.last = b""  # what was read last

    def tell(self):
        return self._at

    def seek(self, offset):
        if self._file.seekable():
            self._at = self._file.seek(offset)
        while self._at < offset and self.read(min(offset - self._at, 1 << 20)):
            pass
        if self._at > offset:
            raise tarfile.ReadError("a member begins before the end of the one before it")

    def read(self, size):
        if size > MOST_BYTES:
            raise tarfile.ReadError(f"a header asks for {size:,} bytes")
        self.last = self._file.read(size)
        self._at += len(self.last)
        return self.last


def _walk(path, stream, passed_over):
    """Yield (name, TarInfo, None or the number of the file that it is a hard link to) of files."""
    try:
        yield from _members(path, stream, passed_over)
    except (DataError, OSError) as error:
        if isinstance(error, tarfile.TarError):
            raise _unreadable(path, error) from error
        raise
    except Exception as error:  # a damaged header can raise nearly anything
        raise _unreadable(path, error) from error


def _members(path, stream, passed_over):
    names: list[str] = []
    targets: dict[int, int] = {}  # number of a hard link -> of its file
    numbers: dict[str, int] = {}  # name -> number, filled up when a hard link asks
    filled = 0
    with tarfile.open(fileobj=stream, mode="r:", errors="surrogateescape") as archive:
        while (member := archive.next()) is not None:
            archive.members = []  # or all headers stay in memory
            if member.isdir():
                continue
            name, reason = clean_name(member.name)
            target = None
            if reason is None and member.islnk():
                for number in range(filled, len(names)):
                    numbers[names[number]] = targets.get(number, number)
                filled = len(names)
                target = numbers.get(clean_name(member.linkname)[0])
                if target is None:
                    reason = f"it is a link to {member.linkname}, which is not at hand"
            elif reason is None and member.issym():
                reason = "it is a symbolic link"
            elif reason is None and (not member.isreg() or member.issparse()):
                reason = "it is no ordinary file"
            if reason is not None:
                passed_over.append((f"{path}: {name}", reason))
                continue
            if target is None and member.size > MOST_BYTES:
                raise DataError(
                    f"{path}: {name} has {member.size:,} bytes, more than the {MOST_BYTES:,} that "
                    "a member may have; the archive is refused"
                )
            if target is not None:
                targets[len(names)] = target
            names.append(name)
            yield name, member, target
        # Python's reader takes a broken header for the end, which is a block of zeros.
        if stream.last != bytes(_BLOCK):
            what = "is damaged" if len(stream.last) == _BLOCK else "was cut short"
            raise DataError(
                f"{path} is a tar archive that {what}: a member or the end mark was expected at "
                f"byte {archive.offset}; fetch it again"
            )


def _unreadable(path, error):
    return DataError(
        f"{path} is a tar archive that cannot be read ({error}); it was cut short or is damaged: "
        "fetch it again"
    )


def _cut_short(path):
    return DataError(f"{path} is a tar archive that was cut short; fetch it again")
