"""A folder in the making: beside the one that it becomes, and found again when interrupted."""

import contextlib
import fcntl
import os
import pathlib
import shutil
import tempfile

from ...errors import InputError

__all__ = ["PART", "beside", "lock_folder"]

PART = ".synthetic.part"  # end of the name of a folder in the making
LOCK = "lock"  # the file in it that whoever is at work holds locked


@contextlib.contextmanager
def beside(out, files):
    """Yield a folder whose files become those of `out` when the block succeeds.

    What an interrupted block leaves there, the next one finds.

    Parameters
    ----------
    out : pathlib.Path
        The folder, there or not.
    files : tuple of str
        What the block writes; the last of them is what tells that `out` is whole. Other files are
        notes, which do not go with them.

    Raises
    ------
    InputError
        When nothing can be written there.
    """
    # inside a folder that exists: it may be a file system of its own, or the working directory
    home = out if out.exists() else out.resolve().parent
    try:
        home.mkdir(parents=True, exist_ok=True)
        part = home / f".{out.resolve().name}{PART}"
        part.mkdir(exist_ok=True)
        lock = lock_folder(part)
        if lock is None:  # another process draws the same set there
            part = pathlib.Path(tempfile.mkdtemp(prefix=".", suffix=PART, dir=home))
            lock = lock_folder(part)
    except OSError as error:
        raise InputError(
            f"{out} cannot be written ({error.strerror}: {error.filename}). Choose another folder"
        ) from error
    with lock:
        try:
            yield part
        except Exception:  # but not when it is interrupted
            shutil.rmtree(part, ignore_errors=True)
            raise
        if not out.exists():
            for path in part.iterdir():
                if path.name not in files:
                    path.unlink()
            os.chmod(part, home.stat().st_mode & 0o777)  # mkdtemp makes private folders
            os.replace(part, out)
            return
        (out / files[-1]).unlink(missing_ok=True)  # not whole until the last file is there
        for name in files:
            os.replace(part / name, out / name)
        shutil.rmtree(part, ignore_errors=True)


def lock_folder(folder):
    """Return an open, locked file in `folder`, or None when another process has it."""
    file = open(folder / LOCK, "w")  # noqa: SIM115  (open as long as the lock is held)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file
