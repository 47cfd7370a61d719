"""A temporary folder that becomes the result when it is complete, and survives an interruption."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pathlib
import shutil
import tempfile
import typing

from ...errors import InputError

__all__ = ["SUFFIX", "lock_folder", "staging_dir"]

SUFFIX = ".synthetic.part"  # end of the name of a staging folder
LOCK = "lock"  # the file in it that the process at work holds locked


@contextlib.contextmanager
def staging_dir(
    out: pathlib.Path, files: typing.Sequence[str], new: bool = False
) -> typing.Iterator[pathlib.Path]:
    """Yield a folder whose files become those of `out` when the block succeeds.

    When the block is interrupted, its files stay, and the next call yields the same folder.

    Parameters
    ----------
    out : pathlib.Path
        The folder, there or not.
    files : tuple of str
        The files of the result. The last one is moved last: it shows that `out` is complete. Other
        files that the block writes are removed.
    new : bool, default False
        Whether `out` may not be there: what another process has written meanwhile stays.

    Raises
    ------
    InputError
        When nothing can be written there, or `out` is there and `new`.
    """
    for name in files:
        if (out / name).is_dir():
            raise InputError(f"{out / name} is a folder, in the place of a file; remove it")
    # If `out` exists, inside it: it may be a file system of its own, or the working directory.
    home = out if out.exists() else out.resolve().parent
    try:
        home.mkdir(parents=True, exist_ok=True)
        staging = home / f".{out.resolve().name}{SUFFIX}"
        staging.mkdir(exist_ok=True)
        if staging.is_symlink():
            raise InputError(f"{staging} is a link; it is not followed. Remove it")
        lock: typing.Any = lock_folder(staging)
        if lock is None:  # another process draws the same set there
            staging = pathlib.Path(tempfile.mkdtemp(prefix=".", suffix=SUFFIX, dir=home))
            lock = lock_folder(staging)
    except OSError as error:
        raise InputError(
            f"{out} cannot be written ({error.strerror}: {error.filename}). Choose another folder"
        ) from error
    with lock:
        try:
            yield staging
        except Exception:  # an interruption (KeyboardInterrupt) keeps the files
            shutil.rmtree(staging, ignore_errors=True)
            raise
        if not out.exists():
            for path in staging.iterdir():
                if path.name not in files:
                    path.unlink()
            os.chmod(staging, home.stat().st_mode & 0o777)  # mkdtemp makes private folders
            os.replace(staging, out)
            return
        if new:
            shutil.rmtree(staging, ignore_errors=True)
            raise InputError(
                f"{out} is there already: another process wrote it. It stays as it is; give the "
                "name of a new folder"
            )
        (out / files[-1]).unlink(missing_ok=True)  # not complete until the last file is there
        for name in files:
            os.replace(staging / name, out / name)
        shutil.rmtree(staging, ignore_errors=True)


def lock_folder(folder: pathlib.Path) -> typing.IO | None:
    """Return an open, locked file in `folder`, or None when another process has it."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    file = os.fdopen(os.open(folder / LOCK, flags, 0o666), "w")  # open as long as it is locked
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file
