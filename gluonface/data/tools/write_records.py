"""Writing a training set from a source of faces: the work of `gluonface data pack`."""

from __future__ import annotations

import hashlib
import logging
import os
import pathlib
import typing

import numpy as np

from ...errors import InputError
from ...files import StrPath
from .. import images
from ..sources import open_source
from .resumable_writer import check_free, write_identities, write_record_set

__all__ = ["pack"]

logger = logging.getLogger(__name__)


def pack(
    source: StrPath | typing.Sequence[StrPath],
    out: StrPath,
    size: int = 112,
    resize: bool = False,
    quality: int = 95,
    min_images: int = 1,
    root: StrPath | None = None,
    workers: int | None = None,
    overwrite: bool = False,
    progress: bool = True,
    **options: typing.Any,
) -> dict:
    """Write a training set.

    Parameters
    ----------
    source : str, pathlib.Path, or a sequence of these
        Faces in any form that `open_source` takes. A record set is written again in InsightFace's
        layout without its broken images.
    out : str or pathlib.Path
        The folder of the set. ``identities.csv`` there says whose number is whose, and the group.
    size : int, default 112
        Height and width of the images.
    resize : bool, default False
        Bring images of another size to it (shorter edge first, then the middle is cut out); by
        default they are left out, for photographs are to be aligned first (`align_photos`).
    quality : int, default 95
        JPEG quality of resized images; the bytes of the others stay as they are. Above 100: PNG.
    min_images : int, default 1
        Leave out identities with fewer images.
    root : str or pathlib.Path, optional
        Where the paths of a list file begin; by default its own folder.
    workers, overwrite, progress
        As for `write_record_set`.
    **options
        ``person``, ``split``, ``strip``, ``columns`` and ``group`` of `open_source`.

    Returns
    -------
    dict
        As of `write_record_set`; ``source``; ``few_images``: how many were left out for
        `min_images`; ``shared_pictures``: how many are there under another person already.

    Raises
    ------
    InputError, DataError
        When `source` is none of these; broken images are left out and listed instead.

    Notes
    -----
    A source that can only be read in its own order (a compressed tar, a large Parquet file) is
    written in that order. Unless the images of each person follow each other there, the set is
    then plain, as im2rec writes it.
    """
    out = pathlib.Path(out)
    sources = [source] if isinstance(source, (str, os.PathLike)) else list(source)
    if min_images < 1:
        raise InputError(f"min_images={min_images}: 1 or more was expected")
    images.check_size_and_quality(size, quality)
    check_free(out, overwrite)
    faces = open_source(source, root, **options)
    labels = faces.labels
    settings = {
        "kind": faces.kind,
        "source": [str(pathlib.Path(one).resolve()) for one in sources],
        "options": {name: str(value) for name, value in options.items() if value is not None},
        "stamp": faces.stamp(),
        "size": size,
        "resize": resize,
        "quality": quality,
        "min_images": min_images,
    }
    _, place, counts = np.unique(labels, return_inverse=True, return_counts=True)
    keep = np.flatnonzero((labels >= 0) & (counts[place] >= min_images))
    if not len(keep):
        raise InputError(f"{sources[0]}: no identity has {min_images} images with a label")
    if not faces.in_order:
        keep = keep[np.argsort(labels[keep], kind="stable")]
    kept, number = np.unique(labels[keep], return_inverse=True)
    plain = int(np.count_nonzero(np.diff(number))) + 1 > len(kept)
    if plain:
        logger.warning(
            "%s can only be read in its own order, in which the images of a person do not follow "
            "each other: the set is written without identity records, as im2rec writes it. "
            "`gluonface data pack` of that set sorts it",
            sources[0],
        )
    broken = np.flatnonzero(labels < 0).tolist()
    left_out = [(faces.name(i), "its record or its label cannot be read") for i in broken]
    digests = np.zeros(0 if faces.kind == "records" else len(keep), np.uint64)

    def load(i):
        data = faces.read(int(keep[i]))
        if len(digests):
            digests[i] = int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big")
        return images.resize_encoded(data, size, resize, quality)

    result = write_record_set(
        out,
        number,
        load,
        settings,
        name=lambda i: faces.name(int(keep[i])),
        num_classes=len(kept),
        plain=plain,
        overwrite=overwrite,
        workers=workers,
        progress=progress,
        left_out=left_out + faces.ignored(),
        write_extras=lambda: write_identities(out, *_identities(faces, keep, kept, number)),
    )
    shared = _under_two_people(digests, number)
    if shared:
        one, other = (faces.name(int(keep[i])) for i in shared[0])
        logger.warning(
            "%d pictures are there under two people, such as %s and %s: one of the names is wrong, "
            "or they are one person. `gluonface data inspect %s --json FILE` lists them",
            len(shared), one, other, out,
        )  # fmt: skip
    few = len(labels) - len(keep) - len(broken)
    return {"source": faces.kind, **result, "few_images": few, "shared_pictures": len(shared)}


def _under_two_people(digests, number):
    """Return pairs of images, by their numbers, that are one picture of two people."""
    order = np.argsort(digests, kind="stable")
    first, second = order[:-1], order[1:]  # equal ones follow each other
    found = (digests[first] == digests[second]) & (digests[first] != 0)  # 0: not read in this run
    found[found] = number[first[found]] != number[second[found]]
    return sorted(zip(first[found].tolist(), second[found].tolist()))


def _identities(faces, keep, kept, number):
    """Return the head and the rows of ``identities.csv``; a group where the source has groups."""
    names = [faces.identity_of_label(int(label)) for label in kept]
    if faces.groups is None:
        return ("identity", "name"), enumerate(names)
    groups: list[dict[str, None]] = [{} for _ in names]
    for index, label in zip(keep.tolist(), number.tolist()):
        groups[label].setdefault(faces.group(index) or "")
    rows = ((i, name, " | ".join(filter(None, groups[i]))) for i, name in enumerate(names))
    return ("identity", "name", "group"), rows
