"""Files that are written whole or not at all, checksums, and checks of downloads."""

from __future__ import annotations

import contextlib
import datetime
import errno
import hashlib
import io
import json
import logging
import os
import pathlib
import re
import socket
import tempfile
import typing

from .errors import DataError

__all__ = [
    "FileLock",
    "StrPath",
    "atomic_write",
    "cache_folder",
    "open_to_write",
    "remove_unfinished",
    "require_content",
    "sha256",
    "sync",
    "sync_folder",
    "write_json",
    "write_npz",
]

logger = logging.getLogger(__name__)

StrPath = typing.Union[str, "os.PathLike[str]"]  # what functions take as a path


class _NamedFile(io.RawIOBase):
    """An open file whose errors name the path that is meant; after one it discards what it gets.

    The system reports a full disk when it takes the bytes, which may be in a library's code, when
    a buffer is emptied, or in the `close` that follows an error. So the first error is raised,
    with the path, and kept for `sync`; further ones would hide it, or come from a destructor.
    There is no `fileno`: NumPy would write past this class, and its error would name no reason.
    """

    def __init__(self, file: io.FileIO, path: str | os.PathLike):
        super().__init__()
        self._file, self._path = file, os.fspath(path)
        self.error: OSError | None = None
        self.name = os.fspath(path)

    def _call(self, function, *args):
        try:
            return function(*args)
        except OSError as error:
            named = OSError(error.errno, error.strerror, self._path)
            self.error = self.error or named
            raise named from None

    def write(self, data):
        if self.error is not None:
            return memoryview(data).nbytes
        return self._call(self._file.write, data)

    def truncate(self, size=None):
        if self.error is not None:
            return size
        return self._call(self._file.truncate, size)

    def sync(self):
        """Have the disk hold what was written; raises the error of an earlier write too."""
        if self.error is not None:
            raise self.error
        self._call(os.fsync, self._file.fileno())

    @property
    def handle(self) -> int:
        """The file descriptor."""
        return self._file.fileno()

    def seek(self, offset, whence=os.SEEK_SET):
        return self._file.seek(offset, whence)

    def tell(self):
        return self._file.tell()

    def readinto(self, buffer):
        return self._file.readinto(buffer)

    def readable(self):
        return self._file.readable()

    def writable(self):
        return True

    def seekable(self):
        return True

    def close(self):
        if not self.closed:
            super().close()
            try:
                self._call(self._file.close)  # a network file system may report here
            except OSError:
                if self.error is None:
                    raise


def open_to_write(
    path: str | os.PathLike | int,
    mode: str = "wb",
    name: str | os.PathLike | None = None,
    **kwargs: typing.Any,
) -> typing.Any:
    """Open a file whose errors, those of a full disk above all, name the path.

    Parameters
    ----------
    path : str, pathlib.Path or int
        Or an open file descriptor.
    mode : str, default "wb"
        As for `open`, for writing; text modes take `encoding` and so on in `kwargs`.
    name : str or pathlib.Path, optional
        What errors name in place of `path`.
    """
    named: typing.Any = path if name is None else name
    with _named(named):
        raw = _NamedFile(io.FileIO(path, mode.replace("b", "").replace("t", "")), named)
    buffered: typing.Any = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
    if "b" in mode:
        return buffered
    return io.TextIOWrapper(buffered, **kwargs)


def sync(file: typing.Any) -> None:
    """Have the disk hold all that was written to a file of `open_to_write`."""
    file.flush()
    getattr(file, "buffer", file).raw.sync()


def sync_folder(path: str | os.PathLike) -> None:
    """Have the disk hold which files a folder has, after one was made or renamed there."""
    handle = os.open(path, os.O_RDONLY)
    try:
        with _named(path):
            os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def atomic_write(
    path: str | os.PathLike, mode: str = "wb", **kwargs: typing.Any
) -> typing.Iterator[typing.Any]:
    """Open a temporary file beside `path`; on success sync it and rename it to `path`.

    Parameters
    ----------
    path : str or pathlib.Path
        The file to write. Its folder must exist.
    mode : str, default "wb"
        As for `open`; text modes take `encoding` in `kwargs`.

    Yields
    ------
    file object
        When the block raises, the temporary file is removed and `path` does not change.

    Raises
    ------
    OSError
        With `path` as its file name, whatever was written when the disk was full.
    """
    path = pathlib.Path(path)
    with _named(path):
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=SUFFIX, dir=path.parent)
    try:
        with open_to_write(handle, mode, name=path, **kwargs) as file:
            yield file
            sync(file)
        os.chmod(name, 0o666 & ~_umask())  # mkstemp makes private files; these are ordinary ones
        with _named(path):
            os.replace(name, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        raise


SUFFIX = ".part"  # end of the name of a file that is being written
_TEMPORARY = re.compile(r"\..+\.[a-z0-9_]{8}\.part")  # as `tempfile.mkstemp` names them


def remove_unfinished(folder: str | os.PathLike) -> None:
    """Remove what `atomic_write` left directly in a folder when its process was killed.

    The caller holds a lock of its own that keeps living processes from writing there.
    """
    for path in pathlib.Path(folder).glob(f".*{SUFFIX}"):
        if _TEMPORARY.fullmatch(path.name) and path.is_file() and not path.is_symlink():
            with contextlib.suppress(OSError):
                path.unlink()


# Errors of file systems that have no locks.
NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}


class FileLock:
    """A lock that one living process holds, however others ended; its file says who that is.

    Other machines see it where the file system passes locks on, as NFS does. Where there are no
    locks there is a warning, and the work goes on.

    Parameters
    ----------
    path : str or pathlib.Path
        The file, which stays; in a folder that exists.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = pathlib.Path(path)
        self._file: typing.Any = None

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return self._file is not None

    def acquire(self) -> str | None:
        """Take the lock and return None, or return who holds it, in words."""
        import fcntl

        file = open_to_write(self.path, "a+b")
        try:
            # Of the open file: it ends with the process, and no child inherits it.
            fcntl.flock(file.raw.handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                file.close()
                return self._holder()
            logger.warning(
                "%s cannot be locked (%s): no second process may write here at the same time",
                self.path,
                error.strerror,
            )
        now = datetime.datetime.now().isoformat(timespec="seconds")
        holder = {"host": socket.gethostname(), "pid": os.getpid(), "since": now}
        with contextlib.suppress(OSError):  # on a full disk the lock counts without it
            file.truncate(0)
            file.write(json.dumps(holder).encode() + b"\n")
            file.flush()
        self._file = file
        return None

    def release(self) -> None:
        """Give the lock up, if it is held."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.truncate(0)
            self._file.close()
            self._file = None

    def _holder(self):
        try:
            holder = json.loads(self.path.read_text(encoding="utf-8"))
            return f"process {holder['pid']} on {holder['host']}, since {holder['since']}"
        except (OSError, ValueError, KeyError, TypeError):
            return "another process"


@contextlib.contextmanager
def _named(path):
    """Within this context an OSError names `path`, not the temporary file."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, os.fspath(path)) from None


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def cache_folder(name: str) -> pathlib.Path:
    """Return the folder `name` of this package below $XDG_CACHE_HOME, or else ~/.cache."""
    home = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(home) / "gluonface" / name


def sha256(path: str | os.PathLike) -> str:
    """Return the hexadecimal SHA-256 of a file."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


WEB_PAGE = "a web page: the download gave a message or a login instead"
# What else a download may have left: by its first bytes.
STAND_INS = {
    b"version https://git-lfs.github.com": "a pointer of Git LFS, not the file itself: "
    "`git lfs pull` fetches that",
    b"<!doctype html": WEB_PAGE,
    b"<html": WEB_PAGE,
}


def require_content(content: bytes, path: str | os.PathLike) -> None:
    """Raise DataError if a downloaded file is empty, a pointer of Git LFS or a web page.

    Parameters
    ----------
    content : bytes
        Of the file, or its beginning.
    path : str or pathlib.Path
        For messages.
    """
    start = content[:64].lstrip().lower()
    if not start:
        raise DataError(f"{path} is empty; fetch or write it again")
    for sign, what in STAND_INS.items():
        if start.startswith(sign):
            raise DataError(f"{path} is {what}")


def write_json(path: str | os.PathLike, value: typing.Any) -> None:
    """Write `value` as indented JSON, see `atomic_write`."""
    with atomic_write(path, "w", encoding="utf-8") as file:
        json.dump(value, file, indent=2)
        file.write("\n")


def write_npz(file: typing.Any, arrays: typing.Mapping[str, typing.Any]) -> None:
    """Write arrays to an open file as `numpy.savez` does.

    NumPy leaves its archive open when a write fails, which Python then reports a second time, from
    the archive's destructor.

    Parameters
    ----------
    file : file object
        To which `write` is enough; it need not be able to seek.
    arrays : dict of str to array
    """
    import zipfile

    import numpy as np

    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)
