"""Unpacking training sets and verification packs into image files."""

from __future__ import annotations

import pathlib

from tqdm import tqdm

from ...errors import DataError, InputError, shown_text
from ...files import StrPath, atomic_write, require_folder_inside
from ..recordio.dataset import RecordDataset
from ..recordio.identity_names import read_identity_names
from ..sources.source import file_name
from ..text_files import write_table
from ..verification_pack import VerificationPack
from .journal import read_checked_json, write_checked_json

__all__ = ["unpack_pack", "unpack_records"]


MARKER = ".unpacked.json"  # in OUT: which set is unpacked there


def unpack_records(
    source: StrPath, out: StrPath, progress: bool = True, merge: bool = False
) -> dict:
    """Write the images of a training set as ``OUT/PERSON/KEY.jpg``, their bytes as they are.

    A person's folder has the name that ``identities.csv`` beside the records gives, else the
    number of the identity. Files that exist with the same bytes are not written again, so
    interrupted work continues. `pack` makes the same set from the folder again.

    Parameters
    ----------
    source, out : str or pathlib.Path
    merge : bool, default False
        Write into a folder that holds other files already. Images of people whose folders have
        other names there are then in it twice.
    progress : bool, default True
        Show a progress bar on standard error.

    Returns
    -------
    dict
        ``images``, ``identities``, ``named`` (identities with a name), and ``left_out``: list of
        (record, reason).

    Raises
    ------
    InputError
        When `out` holds anything but what this set was unpacked to before.
    """
    dataset = RecordDataset(source, cache=0)
    names = read_identity_names(dataset.path.parent)
    folder = _make_folder(out, dataset.path, merge)
    width = len(str(max(dataset.num_classes - 1, 0)))
    digits = len(str(dataset.key(len(dataset) - 1)))
    folders: dict[int, str] = {}
    taken: set[str] = set()
    left_out = []
    for i in tqdm(range(len(dataset)), unit="image", disable=None if progress else True):
        try:
            label, data = dataset.record(i)
        except DataError as error:
            left_out.append((f"record {dataset.key(i)}", str(error)))
            continue
        if label not in folders:
            name = file_name(names.get(label, f"{label:0{width}d}"))
            if name in taken:  # two people of one name, or a name that is another's number
                name = f"{name}_{label:0{width}d}"
            taken.add(name)
            require_folder_inside(folder, f"{name}/image")
            folders[label] = name
        _write(folder / folders[label] / f"{dataset.key(i):0{digits}d}{_suffix(data)}", data)
    return {
        "images": len(dataset) - len(left_out),
        "identities": len(folders),
        "named": len(names.keys() & folders.keys()),
        "left_out": left_out,
    }


def unpack_pack(source: StrPath, out: StrPath, progress: bool = True, merge: bool = False) -> dict:
    """Write a verification pack as ``OUT/000000.jpg`` ... and ``pairs.csv``.

    Parameters
    ----------
    source, out, progress, merge
        As for `unpack_records`.

    Returns
    -------
    dict
        ``pairs`` and ``images``.
    """
    pack = VerificationPack.load(source)
    folder = _make_folder(out, pathlib.Path(source), merge)
    names = []
    for number, data in enumerate(tqdm(pack.bins, disable=None if progress else True)):
        names.append(f"{number:06d}{_suffix(data)}")
        _write(folder / names[-1], data)
    rows = zip(names[::2], names[1::2], pack.issame.astype(int).tolist())
    write_table(folder / "pairs.csv", None, rows)
    return {"pairs": len(pack), "images": len(pack.bins)}


def _make_folder(path, source, merge):
    """Make the folder for the images of `source`, a file; refuse one with other content."""
    path = pathlib.Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise InputError(f"{path} is a file; a folder for the images was expected") from error
    marker = path / MARKER
    state = source.stat()
    whose = {"set": str(source.resolve()), "bytes": state.st_size, "time": state.st_mtime_ns}
    if read_checked_json(marker) == whose:  # an earlier run, perhaps interrupted
        return path
    there = sorted(entry.name for entry in path.iterdir() if not _is_marker(entry.name))
    if there and not merge:
        raise InputError(
            f"{path} is not empty: it holds {shown_text(there[0], 60)}"
            + (f" and {len(there) - 1} more" if len(there) > 1 else "")
            + ", not written from this set. Choose a new folder; --merge (merge=True) writes the "
            "images beside what is there"
        )
    if not there:
        write_checked_json(marker, whose)
    return path


def _is_marker(name):
    return name == MARKER or name.startswith(f".{MARKER}.")  # one that a killed process left


def _suffix(data):
    for start, suffix in ((b"\xff\xd8", ".jpg"), (b"\x89PNG", ".png"), (b"BM", ".bmp")):
        if data.startswith(start):
            return suffix
    return ".webp" if data[8:12] == b"WEBP" else ".bin"


def _write(path, data):
    """Write a file unless it is there; a link in its place is replaced, not followed."""
    there = path.is_file() and not path.is_symlink()
    if there and path.stat().st_size == len(data) and path.read_bytes() == data:
        return
    with atomic_write(path) as file:
        file.write(data)
