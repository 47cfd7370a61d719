"""Looking through a whole set: what is in it, and what is wrong with it."""

import concurrent.futures
import hashlib
import pathlib

import numpy as np
from tqdm import tqdm

from .._compat import cv2, usable_cores
from ..errors import DataError
from ..files import atomic_write
from .packs import VerificationPack
from .records import RecordDataset

__all__ = ["contact_sheet", "survey_pack", "survey_records"]

_STEP = 256  # images that one task looks at


def survey_records(path, progress=True):
    """Read and decode every record of a training set.

    Parameters
    ----------
    path : str or pathlib.Path
        As for `RecordDataset`.
    progress : bool, default True
        Show a progress bar on standard error.

    Returns
    -------
    dict
        Counts and lists that JSON can hold; ``problems`` is a list of sentences, empty when nothing
        is wrong. Images that occur several times are counted in ``duplicates`` but are no problem.

    Raises
    ------
    InputError, DataError
        When the set cannot be opened at all.
    """
    dataset = RecordDataset(path, cache=0)
    count = len(dataset)
    labels = np.full(count, -1, np.int64)
    sizes = np.zeros(count, np.int64)
    hashes = np.zeros(count, np.uint64)
    grey = np.zeros(count, bool)
    broken = []

    def look(start):
        wrong = []
        for i in range(start, min(start + _STEP, count)):
            try:
                labels[i], data = dataset.record(i)
                sizes[i] = len(data)
                hashes[i] = int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")
                image = dataset[i][0]
            except DataError as error:
                wrong.append((i, str(error)))
                continue
            grey[i] = (image[..., 0] == image[..., 1]).all()
        return wrong

    bar = tqdm(total=count, unit="image", disable=None if progress else True)
    with bar, concurrent.futures.ThreadPoolExecutor(usable_cores()) as pool:
        for wrong in pool.map(look, range(0, count, _STEP)):
            broken += wrong
            bar.update(min(_STEP, count - bar.n))
    return _report(dataset, labels, sizes, hashes, grey, broken)


def _report(dataset, labels, sizes, hashes, grey, broken):
    problems = [reason for _, reason in broken]
    good = labels[labels >= 0]
    each = np.bincount(good) if len(good) else np.zeros(1, int)
    each = each[each > 0]
    try:
        differ = np.flatnonzero((labels >= 0) & (labels != dataset.labels))
        classes = dataset.num_classes
        problems += [
            f"{dataset.path}: record {dataset.key(i)} has the label {labels[i]}, but its identity "
            f"record groups it with label {dataset.labels[i]}"
            for i in differ
        ]
    except DataError as error:
        classes = None
        if str(error) not in problems:
            problems.append(str(error))
    read = hashes[sizes > 0]
    return {
        "path": str(dataset.path),
        "images": len(dataset),
        "identities": len(each),
        "num_classes": classes,
        "labels": [int(good.min()), int(good.max())] if len(good) else [],
        "images_each": {
            "least": int(each.min()) if len(each) else 0,
            "median": float(np.median(each)) if len(each) else 0.0,
            "mean": float(each.mean()) if len(each) else 0.0,
            "most": int(each.max()) if len(each) else 0,
        },
        "size": list(dataset.image_size),
        "bytes_each": float(sizes[sizes > 0].mean()) if (sizes > 0).any() else 0.0,
        "grey": int(grey.sum()),
        "duplicates": int(len(read) - len(np.unique(read))),
        "broken": [dataset.key(i) for i, _ in broken],
        "problems": problems,
    }


def survey_pack(path):
    """Read and decode every image of a verification pack; return a dict as `survey_records`."""
    pack = VerificationPack.load(path)
    problems = []
    for number in range(len(pack.bins)):
        try:
            pack.image(number)
        except DataError as error:
            problems.append(str(error))
    same = int(pack.issame.sum())
    if same in (0, len(pack)):
        kind = "the same person" if same else "different people"
        problems.append(f"{path}: all {len(pack)} pairs are of {kind}; both kinds are needed")
    return {
        "path": str(path),
        "pairs": len(pack),
        "same": same,
        "different": len(pack) - same,
        "sha256": pack.sha256,
        "problems": problems,
    }


def contact_sheet(path, out, people=8, each=12):
    """Write a picture of a set: one row per identity, spread evenly over the set.

    Parameters
    ----------
    path : str or pathlib.Path
        As for `RecordDataset`.
    out : str or pathlib.Path
        The PNG or JPEG file to write; its suffix says which.
    people, each : int, default 8 and 12
        Rows at most, and images per row at most. Images that cannot be read stay black.
    """
    dataset = RecordDataset(path, cache=0)
    labels = dataset.labels
    found = np.unique(labels)
    chosen = found[np.linspace(0, len(found) - 1, min(people, len(found))).astype(int)]
    height, width = dataset.image_size
    sheet = np.zeros((len(chosen) * height, each * width, 3), np.uint8)
    for row, label in enumerate(chosen):
        for column, i in enumerate(np.flatnonzero(labels == label)[:each].tolist()):
            try:
                image = dataset[i][0]
            except DataError:
                continue
            at = row * height, column * width
            sheet[at[0] : at[0] + height, at[1] : at[1] + width] = image
    suffix = pathlib.Path(out).suffix.lower() or ".png"
    with atomic_write(out) as file:
        file.write(cv2.imencode(suffix, sheet[..., ::-1])[1].tobytes())
