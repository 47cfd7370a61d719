"""Files that are written whole or not at all, checksums, and checks of downloads."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pathlib
import tempfile
import typing

from .errors import DataError

__all__ = ["StrPath", "atomic_write", "cache_folder", "require_content", "sha256", "write_json"]

StrPath = typing.Union[str, "os.PathLike[str]"]  # what functions take as a path


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
    """
    path = pathlib.Path(path)
    with _named(path):
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, mode, **kwargs) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o666 & ~_umask())  # mkstemp makes private files; these are ordinary ones
        with _named(path):
            os.replace(name, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        raise


@contextlib.contextmanager
def _named(path):
    """Within this context an OSError names `path`, not the temporary file."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None


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
