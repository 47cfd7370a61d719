"""Checking files of public sets against known checksums, and copying them from a local mirror."""

from __future__ import annotations

import hashlib
import pathlib

from tqdm import tqdm

from ...errors import DataError, InputError
from ...files import StrPath, atomic_write
from ..catalog import CATALOG, Entry

__all__ = ["check_files", "copy_from_mirror"]


def check_files(entry: Entry, folder: StrPath, progress: bool = True) -> dict[str, str]:
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
        By file name: ``good``, ``wrong``, ``missing``, or ``other`` where only the sums of some
        copies are known and it is none of them.

    Raises
    ------
    InputError
        When no sums are known, or none of the files is there.
    """
    known = _known(entry)
    if not known:
        raise InputError(
            f"no sums of {entry.title} are known; look at its content with gluonface data verify"
        )
    folder = pathlib.Path(folder)
    there = {name: folder / name for name in known if (folder / name).is_file()}
    if not there:
        raise InputError(f"{folder} has none of the files {', '.join(known)}")
    result = dict.fromkeys(known, "missing")
    total = sum(path.stat().st_size for path in there.values())
    with tqdm(total=total, unit="B", unit_scale=True, disable=None if progress else True) as bar:
        for name, path in there.items():
            with open(path, "rb") as file:
                found = _sum(file, known[name], bar)
            good = found in known[name]
            result[name] = "good" if good else "wrong" if name in entry.sums else "other"
    return result


def _known(entry):
    """Return the sums that each file may have: dict of str to tuple of str."""
    return {**{name: (digest,) for name, digest in entry.sums.items()}, **entry.copies}


def _sum(file, known, bar, copy=None):
    """Return the MD5 or SHA-256 of a file, whichever is `known`; also write its bytes to `copy`."""
    md5 = len(known[0]) == 32
    digest = hashlib.md5(usedforsecurity=False) if md5 else hashlib.sha256()
    for block in iter(lambda: file.read(1 << 20), b""):
        digest.update(block)
        if copy is not None:
            copy.write(block)
        bar.update(len(block))
    return digest.hexdigest()


def copy_from_mirror(
    entry: Entry, mirror: StrPath, out: StrPath, progress: bool = True
) -> dict[str, str]:
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
        By file name: ``good`` (its sum is the known one), ``copied`` (no sum is known, or only
        those of other copies) or ``there``.

    Raises
    ------
    InputError
        When the mirror has none of the files.
    DataError
        When a file has another sum than the known one; the copy is removed.
    """
    source, out = pathlib.Path(mirror), pathlib.Path(out)
    own = (source / entry.name).is_dir()
    if own:
        source = source / entry.name
    files = sorted(path for path in source.glob("*") if path.is_file())
    names, known = {entry.name, *CATALOG.aliases(entry.name)}, _known(entry)
    if own:  # files without a known sum may be the set in another form
        files = [path for path in files if path.name in known] or files
    else:  # there may be files of other sets
        files = [path for path in files if path.name in known or path.stem.lower() in names]
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
            expected = known.get(path.name, ("",))
            with open(path, "rb") as file, atomic_write(target) as copy:
                found = _sum(file, expected, bar, copy)
                if path.name in entry.sums and found not in expected:
                    raise DataError(
                        f"{path} has the sum {found}, {expected[0]} was expected; fetch it again"
                    )
            result[path.name] = "good" if found in expected else "copied"
    return result
