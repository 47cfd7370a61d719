"""Files of public sets: checked against known sums, copied from a mirror; never fetched."""

import hashlib
import pathlib

from tqdm import tqdm

from ..errors import DataError, InputError
from ..files import atomic_write
from .catalog import CATALOG

__all__ = ["check_files", "copy_from_mirror"]


def check_files(entry, folder, progress=True):
    """Compare the files of a download with the known sums.

    Parameters
    ----------
    entry : gluonface.data.catalog.Entry
    folder : str or pathlib.Path
    progress : bool, default True
        Show a progress bar on standard error.

    Returns
    -------
    dict of str to str
        By file name: ``good``, ``wrong`` or ``missing``.

    Raises
    ------
    InputError
        When no sums are known, or none of the files is there.
    """
    if not entry.md5:
        raise InputError(
            f"no sums of {entry.title} are known; look at its content with gluonface data verify"
        )
    folder = pathlib.Path(folder)
    there = {name: folder / name for name in entry.md5 if (folder / name).is_file()}
    if not there:
        raise InputError(f"{folder} has none of the files {', '.join(entry.md5)}")
    result = dict.fromkeys(entry.md5, "missing")
    total = sum(path.stat().st_size for path in there.values())
    with tqdm(total=total, unit="B", unit_scale=True, disable=None if progress else True) as bar:
        for name, path in there.items():
            digest = hashlib.md5(usedforsecurity=False)
            with open(path, "rb") as file:
                for block in iter(lambda: file.read(1 << 20), b""):
                    digest.update(block)
                    bar.update(len(block))
            result[name] = "good" if digest.hexdigest() == entry.md5[name] else "wrong"
    return result


def copy_from_mirror(entry, mirror, out, progress=True):
    """Copy the files of a set from a local mirror, and compare them with the known sums.

    Parameters
    ----------
    entry : gluonface.data.catalog.Entry
    mirror : str or pathlib.Path
        A folder, such as a mounted disk, with the files in it or in its folder ``entry.name``.
    out : str or pathlib.Path
        The folder to write. Files that are there with the same size are not copied again.
    progress : bool, default True
        Show a progress bar on standard error.

    Returns
    -------
    dict of str to str
        By file name: ``good`` (its sum is the known one), ``copied`` (no sum is known) or
        ``there``.

    Raises
    ------
    InputError
        When the mirror has none of the files.
    DataError
        When a sum is another one; the file is not kept.
    """
    source, out = pathlib.Path(mirror), pathlib.Path(out)
    own = (source / entry.name).is_dir()
    if own:
        source = source / entry.name
    files = sorted(path for path in source.glob("*") if path.is_file())
    names = {entry.name, *CATALOG.aliases(entry.name)}
    if not own and not entry.md5:  # other sets may lie beside it
        files = [path for path in files if path.stem.lower() in names]
    if entry.md5:
        files = [path for path in files if path.name in entry.md5]
    if not files:
        raise InputError(
            f"{mirror} has no files of {entry.title}, neither in it nor in {entry.name}/ below it"
        )
    out.mkdir(parents=True, exist_ok=True)
    total = sum(path.stat().st_size for path in files)
    result = {}
    with tqdm(total=total, unit="B", unit_scale=True, disable=None if progress else True) as bar:
        for path in files:
            target = out / path.name
            if target.is_file() and target.stat().st_size == path.stat().st_size:
                result[path.name] = "there"
                bar.update(path.stat().st_size)
                continue
            digest = hashlib.md5(usedforsecurity=False)
            with open(path, "rb") as file, atomic_write(target) as written:
                for block in iter(lambda file=file: file.read(1 << 20), b""):
                    digest.update(block)
                    written.write(block)
                    bar.update(len(block))
                if entry.md5 and digest.hexdigest() != entry.md5[path.name]:
                    raise DataError(
                        f"{path} has the MD5 sum {digest.hexdigest()}, {entry.md5[path.name]} was "
                        "expected; fetch it again"
                    )
            result[path.name] = "good" if entry.md5 else "copied"
    return result
