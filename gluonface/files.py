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
import shutil
import socket
import stat
import tempfile
import typing
import zlib

from .errors import DataError, InputError, shown, shown_text

__all__ = [
    "FileLock",
    "StrPath",
    "atomic_write",
    "cache_folder",
    "open_to_write",
    "parse_json",
    "parse_yaml",
    "place_inside",
    "remove_unfinished",
    "require_content",
    "require_folder_inside",
    "require_no_stand_in",
    "sha256",
    "stand_in",
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
    path: StrPath | int, mode: str = "wb", name: StrPath | None = None, **kwargs: typing.Any
) -> typing.Any:
    """Open a file whose errors, those of a full disk above all, name the path.

    A link is not followed: a folder that came from elsewhere may hold one under this name.

    Parameters
    ----------
    path : str, pathlib.Path or int
        Or an open file descriptor.
    mode : str, default "wb"
        As for `open`, for writing; text modes take `encoding` and so on in `kwargs`.
    name : str or pathlib.Path, optional
        What errors name in place of `path`.

    Raises
    ------
    InputError
        When `path` is a link.
    """
    named = str(path if name is None else os.fspath(name))
    try:
        file = io.FileIO(path, mode.replace("b", "").replace("t", ""), opener=_open_no_link)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise InputError(
                f"{path} is a link; it is not followed. Remove it, or choose another folder"
            ) from error
        raise OSError(error.errno, error.strerror, named) from None
    raw = _NamedFile(file, named)
    buffered: typing.Any = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
    if "b" in mode:
        return buffered
    return io.TextIOWrapper(buffered, **kwargs)


def _open_no_link(name, flags):
    return os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)


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
    path: str | os.PathLike, mode: str = "wb", private: bool = False, **kwargs: typing.Any
) -> typing.Iterator[typing.Any]:
    """Open a temporary file beside `path`; on success sync it and rename it to `path`.

    A pipe and a character device such as /dev/null are not replaced. They get the bytes at the end.

    Parameters
    ----------
    path : str or pathlib.Path
        The file to write. Its folder must exist.
    mode : str, default "wb"
        As for `open`; text modes take `encoding` in `kwargs`.
    private : bool, default False
        Let nobody else read the file (mode 0600).

    Yields
    ------
    file object
        When the block raises, the temporary file is removed and `path` does not change.

    Raises
    ------
    OSError
        With `path` as its file name, whatever was written when the disk was full.
    InputError
        When `path` is a disk.
    """
    path = pathlib.Path(path)
    if _takes_bytes(path):
        with tempfile.TemporaryFile() as whole:
            with open_to_write(os.dup(whole.fileno()), mode, name=path, **kwargs) as file:
                yield file
            whole.seek(0)
            with _named(path), open(path, "wb", opener=_open_nonblocking) as target:
                shutil.copyfileobj(whole, target)
        return
    with _named(path):
        handle, name = _open_temporary(path)
    lock = os.dup(handle)  # until the file has its name
    try:
        with open_to_write(handle, mode, name=path, **kwargs) as file:
            yield file
            sync(file)
        if not private:  # temporary files are
            os.chmod(name, 0o666 & ~_umask())
        with _named(path):
            os.replace(name, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        raise
    finally:
        os.close(lock)


def _open_temporary(path):
    """Return a handle and the name of an empty, private, locked file beside `path`.

    Its name depends on that of `path` alone: what a process that was killed has left is written
    anew, not left for ever. While another one writes there, the name is a random one.
    """
    import fcntl

    # Names may have 255 bytes, and 15 are added here.
    start = path.name.encode("utf-8", "surrogateescape")[:200].decode("utf-8", "ignore")
    own = f"{zlib.crc32(os.fsencode(path.name)):08x}"
    name = path.with_name(f".{start}.{own}{SUFFIX}")
    with contextlib.suppress(OSError):
        handle = os.open(name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            found = os.fstat(handle)
            private = found.st_uid == os.geteuid() and stat.S_IMODE(found.st_mode) == 0o600
            plain = stat.S_ISREG(found.st_mode) and found.st_nlink == 1
            if private and plain and os.path.samestat(found, os.lstat(name)):
                os.ftruncate(handle, 0)
                return handle, name
        except OSError:
            pass
        os.close(handle)
    return tempfile.mkstemp(prefix=f".{start}.", suffix=SUFFIX, dir=path.parent)


def _takes_bytes(path):
    """Tell whether a path is a pipe or a device, which a rename would replace with a file.

    /dev/stdout and /dev/fd/63 are links to what the shell has put there. Other links are no way
    out of a folder.
    """
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        return False
    if stat.S_ISBLK(mode):
        raise InputError(f"{path} is a disk; give the name of a file")
    if stat.S_ISLNK(mode):
        return path.absolute().parts[1] in ("dev", "proc")
    return stat.S_ISCHR(mode) or stat.S_ISFIFO(mode)


def _open_nonblocking(name, flags):
    """Open a pipe that nobody reads with an error, which would wait for ever otherwise."""
    handle = os.open(name, flags | os.O_NONBLOCK | os.O_CLOEXEC)
    os.set_blocking(handle, True)
    return handle


SUFFIX = ".part"  # end of the name of a file that is being written
_TEMPORARY = re.compile(r"\..+\.[a-z0-9_]{8}\.part")  # as `_open_temporary` names them


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
        The file, in a folder that exists.
    stays : bool, default True
        Whether the file stays when the lock is given up.
    """

    def __init__(self, path: str | os.PathLike, stays: bool = True):
        self.path = pathlib.Path(path)
        self._stays = stays
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
        if not self._is_at_path(file):  # its holder has just removed it
            file.close()
            return self.acquire()
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
                if self._stays:
                    self._file.truncate(0)
                elif self._is_at_path(self._file):
                    self.path.unlink()
            self._file.close()
            self._file = None

    def _is_at_path(self, file):
        try:
            return os.path.samestat(os.fstat(file.raw.handle), os.lstat(self.path))
        except OSError:
            return False

    def _holder(self):
        try:
            holder = parse_json(self.path.read_bytes(), self.path)
            return f"process {holder['pid']} on {holder['host']}, since {holder['since']}"
        except (OSError, DataError, KeyError, TypeError):
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


def place_inside(folder: StrPath, name: str) -> pathlib.Path | None:
    """Return the path of `name` in `folder`, or None when that does not lie below `folder`.

    For names out of files: they may not be absolute, hold ``..`` or a zero byte, or pass a link
    that leads out of `folder`. The last component may be a link: it is for `os.unlink` and
    `os.replace`, which follow none.
    """
    parts = pathlib.PurePosixPath(name).parts
    if not parts or "\0" in name or ".." in parts or name.startswith("/"):
        return None
    path = pathlib.Path(folder, name)
    try:
        root, parent = pathlib.Path(folder).resolve(), path.parent.resolve()
    except (OSError, RuntimeError):  # a link to itself, up to Python 3.12
        return None
    if parent.is_symlink():  # the same, since Python 3.13
        return None
    return path if root == parent or root in parent.parents else None


def require_folder_inside(folder: StrPath, name: str) -> pathlib.Path:
    """Make the folder of `name` below `folder`; return the path of `name`.

    Raises
    ------
    InputError
        When a link on the way leads out of `folder`.
    """
    path = place_inside(folder, name)
    if path is None:
        raise InputError(
            f"{pathlib.Path(folder, name)} does not lie in {folder}: a link on the way leads out "
            "of it and is not followed. Remove the link, or choose another folder"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


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
    b"<?xml": "an XML document: the download gave a message instead",
}


def stand_in(content: bytes) -> str | None:
    """Return what a failed download left in place of a file, or None.

    Parameters
    ----------
    content : bytes
        Of the file, or its beginning.
    """
    start = content[:256].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return next((what for sign, what in STAND_INS.items() if start.startswith(sign)), None)


def require_content(content: bytes, path: str | os.PathLike) -> None:
    """Raise DataError if a downloaded file is empty, a pointer of Git LFS or a web page.

    Parameters
    ----------
    content : bytes
        Of the file, or its beginning.
    path : str or pathlib.Path
        For messages.
    """
    if not content[:64].strip():
        raise DataError(f"{path} is empty; fetch or write it again")
    what = stand_in(content)
    if what is not None:
        raise DataError(f"{path} is {what}")


def require_no_stand_in(path: StrPath) -> None:
    """Raise DataError if a file is what a failed download left, see `stand_in`."""
    with open(path, "rb") as file:
        what = stand_in(file.read(256))
    if what is not None:
        raise DataError(f"{path} is {what}")


_JSON_DIGITS = 20


def parse_json(text: str | bytes, name: StrPath) -> typing.Any:
    """Return what a JSON text of others holds.

    Parameters
    ----------
    text : str or bytes
    name : str or pathlib.Path
        What messages call it.

    Raises
    ------
    DataError
        If it is none, a name stands twice in an object, a number has more than 20 digits, or it
        is nested too deep.
    """

    def digits(text):
        if len(text) > _JSON_DIGITS:
            raise ValueError(f"a number of {len(text)} digits")
        return int(text)

    def unique(pairs):
        found = dict(pairs)
        if len(found) != len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"the name {shown(twice)} stands twice in an object")
        return found

    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8")
        return json.loads(text, parse_int=digits, object_pairs_hook=unique)
    except RecursionError:
        raise DataError(f"{name} is not JSON that can be read: it is nested too deep") from None
    except ValueError as error:  # also UnicodeDecodeError
        what = stand_in(text if isinstance(text, bytes) else text[:256].encode())
        raise DataError(f"{name} is {what or f'not JSON: {shown_text(str(error))}'}") from error


_YAML_BYTES = 1 << 20
_YAML_ALIASES = 20  # aliases of aliases multiply: what is shown of a value grows without bound
_YAML_DEPTH = 50  # PyYAML's time grows with the square of the depth


def parse_yaml(text: str, name: StrPath) -> typing.Any:
    """Return the value of a YAML text of plain types.

    Raises
    ------
    InputError
        When it is none, longer than a megabyte, nested more than 50 deep, or has more than 20
        aliases.
    """
    import yaml

    if len(text) > _YAML_BYTES:
        raise InputError(f"{name} has {len(text)} characters; at most {_YAML_BYTES} are read")
    try:
        depth = aliases = 0
        for event in yaml.parse(text):
            aliases += isinstance(event, yaml.AliasEvent)
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > _YAML_DEPTH or aliases > _YAML_ALIASES:
                raise InputError(
                    f"{name} is nested more than {_YAML_DEPTH} deep or has more than "
                    f"{_YAML_ALIASES} aliases (*NAME); it is not read"
                )
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # such as a day 31 of February
        if isinstance(error, InputError):
            raise
        raise InputError(f"{name} is not YAML: {' '.join(str(error).split())}") from error


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
