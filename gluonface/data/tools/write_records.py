"""Packing faces into a training set: from folders of people, a list file, or another set."""

import contextlib
import hashlib
import pathlib
import re

import numpy as np

from ...errors import DataError, InputError
from .. import images
from ..recordio.dataset import RecordDataset
from ..sources.photo_folder import find_others, find_photos
from ..text_files import comma_fields, read_text
from .journal import file_stamp
from .record_job import check_free, write_identities, write_set

__all__ = ["pack", "read_list"]


def pack(
    source, out, size=112, resize=False, quality=95, min_images=1, root=None, workers=None,
    overwrite=False, progress=True,
):  # fmt: skip
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
        As for `write_set`.

    Returns
    -------
    dict
        As of `write_set`, and ``source``.

    Raises
    ------
    InputError, DataError
        When `source` is none of these; broken images are left out and listed instead.
    """
    source, out = pathlib.Path(source), pathlib.Path(out)
    if min_images < 1:
        raise InputError(f"min_images={min_images}: 1 or more was expected")
    images.check_output(size, quality)
    check_free(out, overwrite)
    kind, labels, read, name, people = _open(source, root)
    settings = {
        "kind": kind,
        "source": str(source.resolve()),
        "stamp": _stamp(source, kind, name, labels),
    }
    settings.update(size=size, resize=resize, quality=quality, min_images=min_images)
    _, place, counts = np.unique(labels, return_inverse=True, return_counts=True)
    keep = np.flatnonzero((labels >= 0) & (counts[place] >= min_images))
    keep = keep[np.argsort(labels[keep], kind="stable")]
    if not len(keep):
        raise InputError(f"{source}: no identity has {min_images} images with a label")
    kept, number = np.unique(labels[keep], return_inverse=True)
    broken = np.flatnonzero(labels < 0).tolist()
    others = find_others(source) if kind == "folders" else []

    def load(i):
        return images.at_size(read(int(keep[i])), size, resize, quality)

    result = write_set(
        out,
        number,
        load,
        settings,
        name=lambda i: name(int(keep[i])),
        num_classes=len(kept),
        overwrite=overwrite,
        workers=workers,
        progress=progress,
        left_out=[(name(i), "its record or its label cannot be read") for i in broken]
        + [(str(source / other), reason) for other, reason in others],
        beside=lambda: write_identities(
            out, ("identity", "name"), ((i, people(k)) for i, k in enumerate(kept))
        ),
    )
    return {"source": kind, **result, "few_images": len(labels) - len(keep) - len(broken)}


def _open(source, root):
    """Return (kind, labels, number -> bytes, number -> name, label -> name of the person)."""
    if source.suffix == ".rec" or (source.is_dir() and list(source.glob("*.rec"))):
        dataset = RecordDataset(source, cache=0)
        labels = _record_labels(dataset)
        return "records", labels, dataset.read, lambda i: f"record {dataset.key(i)}", str
    if source.is_dir():
        photos = find_photos(source)
        owner = [photo.split("/")[0] if "/" in photo else None for photo in photos]
        if None in owner:
            raise InputError(
                f"{source / photos[owner.index(None)]} is in no person's folder; "
                f"{source}/PERSON/IMAGE was expected"
            )
        people = sorted(set(owner), key=_natural)
        place = {person: number for number, person in enumerate(people)}
        labels = np.array([place[person] for person in owner])
        names = [str(source / photo) for photo in photos]
    elif source.is_file():
        labels, paths = read_list(source)
        root = pathlib.Path(root) if root else source.parent
        names = [str(root / path) for path in paths]
        people = None
    else:
        raise InputError(
            f"{source} is not there; a folder of people, a list file or a record set was expected"
        )
    return (
        "folders" if people else "list",
        labels,
        lambda i: pathlib.Path(names[i]).read_bytes(),
        names.__getitem__,
        people.__getitem__ if people else str,
    )


def _record_labels(dataset):
    """Return the labels of a record set, -1 where one cannot be read."""
    try:
        return dataset.labels.astype(np.int64)
    except DataError:
        pass
    labels = np.full(len(dataset), -1, np.int64)
    for i in range(len(dataset)):
        with contextlib.suppress(DataError):
            labels[i] = dataset.record(i)[0]
    return labels


def _natural(text):
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", text)]


def _stamp(source, kind, name, labels):
    """Return a digest of what there is to pack; another one means other work."""
    if kind == "records":
        return file_stamp(RecordDataset(source, cache=0).path)
    digest = hashlib.sha256()
    for i, label in enumerate(labels.tolist()):
        digest.update(f"{label}\t{name(i)}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def read_list(path):
    """Read a list of images and identities.

    Parameters
    ----------
    path : str or pathlib.Path
        A line per image, its fields separated by tabs (or, without tabs, by commas or blanks):
        im2rec's ``number label [...] path``, InsightFace's ``1 path label [...]``, or
        ``path label``. Lines that begin with ``#`` and empty ones are passed over.

    Returns
    -------
    tuple of (numpy.ndarray, list of str)
        Labels, int64, and paths.

    Raises
    ------
    DataError
        Names the line that is something else.
    """
    lines = read_text(path).splitlines()
    labels, names = [], []
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        fields = _fields(line)
        first = _label(fields[0])
        if len(fields) >= 3 and first is not None and _label(fields[1]) is not None:
            label, name = _label(fields[1]), fields[-1]
        elif len(fields) >= 3 and first is not None:
            label, name = _label(fields[2]), fields[1]
        else:
            label, name = _label(fields[-1]), fields[0]
        if label is None or len(fields) < 2 or not name:
            raise DataError(
                f"{path}: line {number} is {line[:60]!r}; `number<tab>label<tab>path` or "
                "`path<tab>label` was expected, the label a whole number from 0"
            )
        labels.append(label)
        names.append(name)
    if not labels:
        raise DataError(f"{path} lists no images")
    return np.array(labels, np.int64), names


def _fields(line):
    if "\t" in line:
        return [field.strip() for field in line.rstrip("\r\n").split("\t")]
    if "," in line:
        return [field.strip() for field in comma_fields(line)]
    words = line.split()
    if len(words) > 2 and all(_label(word) is not None for word in words[:2]):
        return words  # im2rec's
    return line.strip().rsplit(None, 1)  # names may hold blanks


def _label(text):
    """Return a label, or None. im2rec writes whole numbers as floats."""
    try:
        value = float(text)
    except ValueError:
        return None
    return int(value) if 0 <= value < 1 << 53 and value == int(value) else None
