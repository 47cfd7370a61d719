"""Files written beside and renamed into place, so that a reader never sees half of one."""

import contextlib
import hashlib
import json
import os
import pathlib
import tempfile

__all__ = ["atomic_write", "sha256", "write_json"]


@contextlib.contextmanager
def atomic_write(path, mode="wb", **kwargs):
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
        When the block raises, the temporary file is removed and `path` is as it was.
    """
    path = pathlib.Path(path)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, mode, **kwargs) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o666 & ~_umask())  # mkstemp makes private files; these are ordinary ones
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        raise


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def sha256(path):
    """Return the hexadecimal SHA-256 of a file."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def write_json(path, value):
    """Write `value` as indented JSON, whole or not at all."""
    with atomic_write(path, "w", encoding="utf-8") as file:
        json.dump(value, file, indent=2)
        file.write("\n")
