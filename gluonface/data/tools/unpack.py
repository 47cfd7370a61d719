"""Unpacking training sets and verification packs into image files."""

from __future__ import annotations

import pathlib

from tqdm import tqdm

from ...errors import DataError, InputError
from ...files import StrPath, atomic_write
from ..recordio.dataset import RecordDataset
from ..text_files import write_table
from ..verification_pack import VerificationPack

__all__ = ["unpack_pack", "unpack_records"]


def unpack_records(source: StrPath, out: StrPath, progress: bool = True) -> dict:
    """Write the images of a training set as ``OUT/IDENTITY/KEY.jpg``, their bytes as they are.

    Files that exist with the same bytes are not written again, so interrupted work continues.
    `pack` makes the same set from the folder again.

    Parameters
    ----------
    source, out : str or pathlib.Path
    progress : bool, default True
        Show a progress bar on standard error.

    Returns
    -------
    dict
        ``images``, ``identities``, and ``left_out``: list of (record, reason).
    """
    dataset, folder = RecordDataset(source, cache=0), _make_folder(out)
    width = len(str(max(dataset.num_classes - 1, 0)))
    digits = len(str(dataset.key(len(dataset) - 1)))
    labels, left_out = set(), []
    for i in tqdm(range(len(dataset)), unit="image", disable=None if progress else True):
        try:
            label, data = dataset.record(i)
        except DataError as error:
            left_out.append((f"record {dataset.key(i)}", str(error)))
            continue
        name = f"{label:0{width}d}"
        if label not in labels:
            (folder / name).mkdir(exist_ok=True)
            labels.add(label)
        _write(folder / name / f"{dataset.key(i):0{digits}d}{_suffix(data)}", data)
    return {
        "images": len(dataset) - len(left_out),
        "identities": len(labels),
        "left_out": left_out,
    }


def unpack_pack(source: StrPath, out: StrPath, progress: bool = True) -> dict:
    """Write a verification pack as ``OUT/000000.jpg`` ... and ``pairs.csv``.

    Returns
    -------
    dict
        ``pairs`` and ``images``.
    """
    pack, folder = VerificationPack.load(source), _make_folder(out)
    names = []
    for number, data in enumerate(tqdm(pack.bins, disable=None if progress else True)):
        names.append(f"{number:06d}{_suffix(data)}")
        _write(folder / names[-1], data)
    rows = zip(names[::2], names[1::2], pack.issame.astype(int).tolist())
    write_table(folder / "pairs.csv", None, rows)
    return {"pairs": len(pack), "images": len(pack.bins)}


def _make_folder(path):
    path = pathlib.Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise InputError(f"{path} is a file; a folder for the images was expected") from error
    return path


def _suffix(data):
    for start, suffix in ((b"\xff\xd8", ".jpg"), (b"\x89PNG", ".png"), (b"BM", ".bmp")):
        if data.startswith(start):
            return suffix
    return ".webp" if data[8:12] == b"WEBP" else ".bin"


def _write(path, data):
    if path.exists() and path.stat().st_size == len(data) and path.read_bytes() == data:
        return
    with atomic_write(path) as file:
        file.write(data)
