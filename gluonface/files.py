"""Files that are written whole or not at all, checksums, and checks of downloads."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import pathlib
import tempfile
import typing

from .errors import DataError, InputError

__all__ = [
    "StrPath",
    "atomic_write",
    "cache_folder",
    "open_unlinked",
    "parse_json",
    "parse_yaml",
    "place_inside",
    "require_content",
    "require_folder_inside",
    "require_no_stand_in",
    "sha256",
    "stand_in",
    "write_json",
]

StrPath = typing.Union[str, "os.PathLike[str]"]  # what functions take as a path


@contextlib.contextmanager
def atomic_write(
    path: str | os.PathLike, mode: str = "wb", private: bool = False, **kwargs: typing.Any
) -> typing.Iterator[typing.Any]:
    """Open a temporary file beside `path`; on success sync it and rename it to `path`.

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
    """
    path = pathlib.Path(path)
    with _named(path):
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, mode, **kwargs) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if not private:  # mkstemp makes private files
            os.chmod(name, 0o666 & ~_umask())
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


def open_unlinked(path: StrPath, mode: str = "wb", **kwargs: typing.Any) -> typing.Any:
    """Open a file to write it in place, as `open` does, but not where a link points.

    A folder that came from elsewhere may hold a link under the name that is to be written.

    Raises
    ------
    InputError
        When `path` is a link; it is named.
    """

    def opener(name, flags):
        return os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)

    try:
        return open(path, mode, opener=opener, **kwargs)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise InputError(
                f"{path} is a link; it is not followed. Remove it, or choose another folder"
            ) from error
        raise


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
    except (OSError, RuntimeError):  # a link to itself
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


def parse_json(text: str | bytes, path: StrPath) -> typing.Any:
    """Return the value of a JSON text.

    Raises
    ------
    DataError
        When it is none, when it is nested too deep, or when a number has thousands of digits.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise DataError(f"{path} is not JSON that can be read: it is nested too deep") from None
    except ValueError as error:  # also UnicodeDecodeError, and integers that Python refuses
        what = stand_in(text if isinstance(text, bytes) else text[:256].encode())
        raise DataError(f"{path} is {what or f'not JSON: {str(error)[:200]}'}") from error


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
        raise InputError(f"{name} is not YAML: {error}") from error


def write_json(path: str | os.PathLike, value: typing.Any) -> None:
    """Write `value` as indented JSON, see `atomic_write`."""
    with atomic_write(path, "w", encoding="utf-8") as file:
        json.dump(value, file, indent=2)
        file.write("\n")
