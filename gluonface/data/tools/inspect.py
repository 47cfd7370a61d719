"""Looking through a whole set: what is in it, and what is wrong with it."""

import concurrent.futures
import contextlib
import hashlib
import json
import logging
import pathlib
import shutil

import numpy as np
from tqdm import tqdm

from ..._compat import usable_cores
from ...errors import DataError, GluonfaceError
from ...files import atomic_write
from ..arrays import load_arrays
from ..catalog import recognise
from ..recordio.dataset import RecordDataset
from ..recordio.index import how_to_rebuild
from ..verification_pack import VerificationPack
from .journal import file_stamp

__all__ = ["survey_pack", "survey_records"]

logger = logging.getLogger(__name__)

_STEP = 256  # images that one task looks at
PART = 1 << 16  # images of one note: a few seconds of work
GROUPS = 100  # groups of equal images that a report lists


def survey_records(path, progress=True, notes=None):
    """Read and decode every record of a training set.

    Parameters
    ----------
    path : str or pathlib.Path
        As for `RecordDataset`.
    progress : bool, default True
        Show a progress bar on standard error.
    notes : str or pathlib.Path, optional
        A folder. What was found of a large set is kept there, `PART` images at a time, until all
        is done: interrupted work goes on where it was. One that cannot be written is not used.

    Returns
    -------
    dict
        Counts and lists that JSON can hold; ``problems`` is a list of sentences, empty when nothing
        is wrong. Images that occur several times are counted in ``duplicates`` but are no problem;
        ``duplicate_groups`` has the record keys of the first `GROUPS` of them and their labels.
        ``known`` names the public sets with these counts.

    Raises
    ------
    InputError, DataError
        When the set cannot be opened at all.
    """
    dataset = RecordDataset(path, cache=0)
    count = len(dataset)
    found = {
        "labels": np.full(count, -1, np.int64),
        "sizes": np.zeros(count, np.int64),
        "hashes": np.zeros(count, np.uint64),
        "grey": np.zeros(count, bool),
        "sealed": np.zeros(count, bool),
    }
    broken = []
    kept = _Notes(notes, dataset) if notes is not None and count > PART else None
    bar = tqdm(total=count, unit="image", disable=None if progress else True)
    with bar, concurrent.futures.ThreadPoolExecutor(usable_cores()) as pool:
        for first in range(0, count, PART):
            rows = slice(first, min(first + PART, count))
            wrong = kept and kept.load(rows, found)
            if wrong is None:
                wrong = []
                starts = range(rows.start, rows.stop, _STEP)
                stops = [min(start + _STEP, rows.stop) for start in starts]
                for some in pool.map(lambda *ends: _look(dataset, found, *ends), starts, stops):
                    wrong += some
                    bar.update(min(_STEP, count - bar.n))
                if kept:
                    kept.save(rows, found, wrong)
            else:
                bar.update(rows.stop - rows.start)
            broken += wrong
    report = _report(dataset, **found, broken=broken)
    if kept:
        kept.remove()
    return report


def _look(dataset, found, start, stop):
    """Fill in what images `start` to `stop` are; return what is wrong: list of (number, why)."""
    wrong = []
    for i in range(start, stop):
        try:
            found["labels"][i], data, found["sealed"][i] = dataset.inspect(i)
            found["sizes"][i] = len(data)
            digest = hashlib.blake2b(data, digest_size=8).digest()
            found["hashes"][i] = int.from_bytes(digest, "little")
            image = dataset.decode(i, data)
        except DataError as error:
            wrong.append((i, str(error)))
            continue
        found["grey"][i] = (image == image[..., :1]).all()
    return wrong


class _Notes:
    """What was found of a set so far, a file for each part of it."""

    def __init__(self, folder, dataset):
        files = [dataset.path.with_suffix(suffix) for suffix in (".rec", ".idx")]
        files += [path for path in [dataset.path.with_name("property")] if path.exists()]
        key = json.dumps([[str(path.resolve()), *file_stamp(path)] for path in files])
        key = hashlib.sha256(key.encode()).hexdigest()[:32]
        self.folder = pathlib.Path(folder).expanduser() / key

    def _file(self, rows):
        return self.folder / f"part-{rows.start // PART:05d}.npz"

    def load(self, rows, found):
        """Fill in the images `rows`; return what is wrong with them, or None if it is not known."""
        try:
            part = load_arrays(self._file(rows))
            for name, values in found.items():
                values[rows] = part[name]
            return [tuple(item) for item in json.loads(str(part["wrong"]))]
        except (GluonfaceError, KeyError, ValueError):
            return None

    def save(self, rows, found, wrong):
        """Keep what was found of the images `rows`."""
        part = {name: values[rows] for name, values in found.items()}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with atomic_write(self._file(rows)) as file:
                np.savez(file, **part, wrong=np.array(json.dumps(wrong)))
        except OSError as error:
            logger.info("no notes are kept: %s", error)

    def remove(self):
        """Forget everything."""
        with contextlib.suppress(OSError):
            shutil.rmtree(self.folder)


def _report(dataset, labels, sizes, hashes, grey, sealed, broken):
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
    bare = np.flatnonzero(~sealed & (sizes > 0))
    if sealed.any() and len(bare):
        problems.append(
            f"{dataset.path}: {len(bare)} records have no checksum and {sealed.sum()} have one; "
            f"record {dataset.key(bare[0])} is damaged or not of this set"
        )
    first = dataset.first_byte()
    if first:
        problems.append(
            f"{dataset.path.with_suffix('.idx')}: the first record begins at byte {first}; what is "
            f"before it is lost. {how_to_rebuild(dataset.path)}"
        )
    missing = dataset.missing_keys()
    if missing:
        problems.append(
            f"{dataset.path.with_suffix('.idx')} lacks {len(missing)} images of the set, such as "
            f"record {missing[0]}; {how_to_rebuild(dataset.path)}"
        )
    copies, groups = _duplicates(dataset, labels, hashes, np.flatnonzero(sizes > 0))
    identities = len(each)
    known = recognise(classes or identities, len(dataset))
    return {
        "path": str(dataset.path),
        "images": len(dataset),
        "identities": identities,
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
        "duplicates": copies,
        "duplicate_groups": groups,
        "known": [entry.title for entry in known],
        "identities_with": {int(n): int(c) for n, c in zip(*np.unique(each, return_counts=True))},
        "checksums": int(sealed.sum()),
        "broken": [dataset.key(i) for i, _ in broken],
        "problems": problems,
    }


def _duplicates(dataset, labels, hashes, read):
    """Return how many images are copies of another, and the first groups of equal ones."""
    order = read[np.argsort(hashes[read], kind="stable")]
    same = (
        np.r_[False, hashes[order][1:] == hashes[order][:-1]] if len(order) else np.zeros(0, bool)
    )
    starts = np.flatnonzero(~same)
    sizes = np.diff(np.r_[starts, len(order)])
    groups = [order[at : at + size] for at, size in zip(starts[sizes > 1], sizes[sizes > 1])]
    groups = sorted(groups, key=lambda group: group[0])[:GROUPS]
    return int(same.sum()), [
        {"records": [dataset.key(i) for i in group], "labels": labels[group].tolist()}
        for group in groups
    ]


def survey_pack(path, progress=False):
    """Read and decode every image of a verification pack; return a dict as `survey_records`."""
    pack = VerificationPack.load(path)
    problems = []
    numbers = range(len(pack.bins))
    for number in tqdm(numbers, unit="image", disable=None if progress else True):
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
        "known": [
            entry.title for entry in recognise(pairs=len(pack), same=same, sha256=pack.sha256)
        ],
        "sha256": pack.sha256,
        "problems": problems,
    }
