"""Checksums of a checkpoint: of the bytes that were meant, compared with the files on the disk.

A file's size and SHA-256 are computed while it is written, from what goes to the system, so a file
that the system did not take whole differs from them. The manifest holds those of all files, and
one of itself.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pathlib
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ...errors import DataError, shown, shown_text
from ...files import open_to_write, sha256, sync
from .manifest_form import check_form

__all__ = [
    "FORMAT",
    "MANIFEST",
    "MeantFile",
    "Part",
    "file_entry",
    "find_damage",
    "join_parts",
    "meant_file",
    "read_manifest",
    "write_manifest",
]

FORMAT = 2
MANIFEST = "manifest.json"
Part = Sequence[Any]  # (first byte, bytes, SHA-256) of what one rank wrote
_OWN = re.compile(rb'"sha256": "([0-9a-f]{64})"\n\}\n\Z')  # the manifest's last entry, of itself
_UNKNOWN = "0" * 64


class MeantFile:
    """An open file that counts and hashes what is written to it. It cannot seek.

    Attributes
    ----------
    size : int
    digest : hashlib hash
    """

    def __init__(self, file: Any):
        self._file, self.size, self.digest = file, 0, hashlib.sha256()

    def write(self, data: Any) -> int:
        """Write bytes."""
        data = memoryview(data).cast("B")
        self.size += data.nbytes
        self.digest.update(data)
        self._file.write(data)
        return data.nbytes

    def flush(self) -> None:
        """Hand all to the system."""
        self._file.flush()


@contextlib.contextmanager
def meant_file(path: pathlib.Path, entries: dict) -> Iterator[MeantFile]:
    """Open a new file to write, sync it, and add its entry to `entries`.

    Raises
    ------
    OSError
        With `path`, if the system does not take all of it.
    """
    with open_to_write(path) as file:
        meant = MeantFile(file)
        yield meant
        sync(file)
    entries[path.name] = {"bytes": meant.size, "sha256": meant.digest.hexdigest()}


def file_entry(path: pathlib.Path) -> dict:
    """Return size and checksum of a file as it is on the disk."""
    with open(path, "rb") as file, contextlib.suppress(OSError):
        # Synced pages leave the cache, so that the disk is read and not what was kept of it.
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return {"bytes": path.stat().st_size, "sha256": sha256(path)}


def join_parts(path: pathlib.Path, parts: Iterable[Part]) -> dict:
    """Return the entry of a file that several ranks have written, after comparing it with them.

    Parameters
    ----------
    path : pathlib.Path
    parts : iterable of (first byte, bytes, SHA-256)
        Together the whole file.

    Raises
    ------
    DataError
        If the file does not hold what the ranks meant to write.
    """
    whole, at = hashlib.sha256(), 0
    with open(path, "rb") as file:
        for first, size, digest in sorted(map(tuple, parts)):
            own, left = hashlib.sha256(), size
            while left and (block := file.read(min(left, 1 << 20))):
                own.update(block)
                whole.update(block)
                left -= len(block)
            if first != at or left or own.hexdigest() != digest:
                raise DataError(
                    f"{path}: bytes {first} to {first + size} are not those that were written; "
                    "check the disk or the network file system"
                )
            at += size
        if file.read(1):
            raise DataError(f"{path} has more than the {at} bytes that were written")
    return {"bytes": at, "sha256": whole.hexdigest()}


def write_manifest(folder: pathlib.Path, manifest: dict) -> None:
    """Write manifest.json with a checksum of itself as its last entry."""
    text = json.dumps({**manifest, "sha256": _UNKNOWN}, indent=2).encode() + b"\n"
    own = hashlib.sha256(text).hexdigest().encode()
    with meant_file(folder / MANIFEST, {}) as file:
        file.write(_OWN.sub(lambda found: found[0].replace(found[1], own), text))


def read_manifest(folder: str | pathlib.Path) -> dict:
    """Return the manifest of a checkpoint of this format.

    Raises
    ------
    DataError
        If the folder is no such checkpoint, or its manifest is cut or altered.
    """
    path = pathlib.Path(folder) / MANIFEST
    try:
        content = path.read_bytes()
        manifest = json.loads(content.decode("utf-8"))
        version = manifest["format"]
    except OSError as error:
        raise DataError(
            f"{folder} is not a checkpoint: {path.name}: {error.strerror or error}"
        ) from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(
            f"{folder} is not a checkpoint, or {path} is damaged: {path.name}: "
            f"{shown_text(str(error))}"
        ) from error
    if version != FORMAT:
        raise DataError(
            f"{folder} is a checkpoint of format {shown(version)}, this version reads format "
            f"{FORMAT}; use the gluonface version that env.json of the run names"
        )
    found = _OWN.search(content)
    if found is not None:
        content = content[: found.start(1)] + _UNKNOWN.encode() + content[found.end(1) :]
    if found is None or hashlib.sha256(content).hexdigest().encode() != found[1]:
        raise DataError(f"{path} is damaged: its content is not that of its SHA-256")
    return check_form(manifest, path)


def find_damage(
    folder: pathlib.Path, manifest: dict, names: Iterable[str] | None = None
) -> str | None:
    """Return what is wrong with the first of a checkpoint's files that is not whole, or None.

    Parameters
    ----------
    folder : pathlib.Path
    manifest : dict
    names : iterable of str, optional
        The files to read. Default: all.
    """
    for name in manifest["files"] if names is None else names:
        try:
            found = file_entry(folder / name)
        except FileNotFoundError:
            return f"{folder / name} of the checkpoint is missing"
        except OSError as error:
            return f"{folder / name} of the checkpoint cannot be read: {error.strerror}"
        if found != manifest["files"][name]:
            return f"{folder / name} is damaged: size or SHA-256 is not the one in {MANIFEST}"
    return None
