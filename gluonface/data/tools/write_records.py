"""Writing a training set from a source of faces: the work of `gluonface data pack`."""

from __future__ import annotations

import pathlib

import numpy as np

from ...errors import InputError
from ...files import StrPath
from .. import images
from ..sources import open_source
from .resumable_writer import check_free, write_identities, write_record_set

__all__ = ["pack"]


def pack(
    source: StrPath,
    out: StrPath,
    size: int = 112,
    resize: bool = False,
    quality: int = 95,
    min_images: int = 1,
    root: StrPath | None = None,
    workers: int | None = None,
    overwrite: bool = False,
    progress: bool = True,
) -> dict:
    """Write a training set.

    Parameters
    ----------
    source : str or pathlib.Path
        A folder with a folder of images per person; a list file, see `read_list`; or a record set,
        which is written again in InsightFace's layout without its broken images.
    out : str or pathlib.Path
        The folder of the set. ``identities.csv`` there says whose number is whose.
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

    Returns
    -------
    dict
        As of `write_record_set`, ``source`` and ``few_images``: how many were left out for
        `min_images`.

    Raises
    ------
    InputError, DataError
        When `source` is none of these; broken images are left out and listed instead.
    """
    source, out = pathlib.Path(source), pathlib.Path(out)
    if min_images < 1:
        raise InputError(f"min_images={min_images}: 1 or more was expected")
    images.check_size_and_quality(size, quality)
    check_free(out, overwrite)
    faces = open_source(source, root)
    labels = faces.labels
    settings = {
        "kind": faces.kind,
        "source": str(source.resolve()),
        "stamp": faces.stamp(),
        "size": size,
        "resize": resize,
        "quality": quality,
        "min_images": min_images,
    }
    _, place, counts = np.unique(labels, return_inverse=True, return_counts=True)
    keep = np.flatnonzero((labels >= 0) & (counts[place] >= min_images))
    keep = keep[np.argsort(labels[keep], kind="stable")]
    if not len(keep):
        raise InputError(f"{source}: no identity has {min_images} images with a label")
    kept, number = np.unique(labels[keep], return_inverse=True)
    broken = np.flatnonzero(labels < 0).tolist()
    left_out = [(faces.name(i), "its record or its label cannot be read") for i in broken]
    result = write_record_set(
        out,
        number,
        lambda i: images.resize_encoded(faces.read(int(keep[i])), size, resize, quality),
        settings,
        name=lambda i: faces.name(int(keep[i])),
        num_classes=len(kept),
        overwrite=overwrite,
        workers=workers,
        progress=progress,
        left_out=left_out + faces.ignored(),
        write_extras=lambda: write_identities(
            out, ("identity", "name"), ((i, faces.identity_of_label(k)) for i, k in enumerate(kept))
        ),
    )
    few = len(labels) - len(keep) - len(broken)
    return {"source": faces.kind, **result, "few_images": few}
