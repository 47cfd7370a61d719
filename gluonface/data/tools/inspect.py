"""What is in a training set or a verification pack, and what is wrong with it."""

from __future__ import annotations

import concurrent.futures
import contextlib
import functools
import hashlib
import json
import logging
import pathlib
import shutil

import numpy as np
from tqdm import tqdm

from ..._compat import usable_cores
from ...errors import DataError, GluonfaceError
from ...files import StrPath, atomic_write, parse_json, write_npz
from .. import images
from ..arrays import load_arrays
from ..catalog import recognise
from ..prefetch import map_ahead
from ..recordio.dataset import RecordDataset
from ..recordio.index import how_to_rebuild
from ..sources import FaceSource
from ..verification_pack import VerificationPack
from .journal import file_stamp

__all__ = ["inspect_pack", "inspect_records", "inspect_source"]

logger = logging.getLogger(__name__)

_STEP = 256  # images that a thread reads in one task
CACHED = 1 << 16  # images of one file of the cache: a few seconds of work
GROUPS = 100  # groups of equal images that a report lists


def inspect_records(path: StrPath, progress: bool = True, cache: StrPath | None = None) -> dict:
    """Read and decode every record of a training set.

    Parameters
    ----------
    path : str or pathlib.Path
        As for `RecordDataset`.
    progress : bool, default True
        Show a progress bar on standard error.
    cache : str or pathlib.Path, optional
        A folder for the results of a large set, stored after each `CACHED` images and removed at
        the end, so that interrupted work continues. It is not used if it cannot be written.

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
        "has_checksum": np.zeros(count, bool),
    }
    broken: list[tuple[int, str]] = []
    stored = _ResultCache(cache, dataset) if cache is not None and count > CACHED else None
    bar = tqdm(total=count, unit="image", disable=None if progress else True)
    with bar, concurrent.futures.ThreadPoolExecutor(usable_cores()) as pool:
        for first in range(0, count, CACHED):
            rows = slice(first, min(first + CACHED, count))
            wrong = stored.load(rows, found) if stored else None
            if wrong is None:
                wrong = []
                starts = range(rows.start, rows.stop, _STEP)
                stops = [min(start + _STEP, rows.stop) for start in starts]
                check = functools.partial(_inspect_images, dataset, found)
                for some in pool.map(check, starts, stops):
                    wrong += some
                    bar.update(min(_STEP, count - bar.n))
                if stored:
                    stored.save(rows, found, wrong)
            else:
                bar.update(rows.stop - rows.start)
            broken += wrong
    report = _report(dataset, **found, broken=broken)
    if stored:
        stored.remove()
    return report


def _inspect_images(dataset, found, start, stop):
    """Fill in `found` for images `start` to `stop`; return those with errors: (number, reason)."""
    wrong = []
    for i in range(start, stop):
        try:
            found["labels"][i], data, found["has_checksum"][i] = dataset.inspect(i)
            found["sizes"][i] = len(data)
            digest = hashlib.blake2b(data, digest_size=8).digest()
            found["hashes"][i] = int.from_bytes(digest, "little")
            image = dataset.decode(i, data)
        except DataError as error:
            wrong.append((i, str(error)))
            continue
        found["grey"][i] = (image == image[..., :1]).all()
    return wrong


class _ResultCache:
    """The results of a set so far, in a file for each `CACHED` images."""

    def __init__(self, folder, dataset):
        files = [dataset.path.with_suffix(suffix) for suffix in (".rec", ".idx")]
        files += [path for path in [dataset.path.with_name("property")] if path.exists()]
        key = json.dumps([[str(path.resolve()), *file_stamp(path)] for path in files])
        key = hashlib.sha256(key.encode()).hexdigest()[:32]
        self.folder = pathlib.Path(folder).expanduser() / key

    def _file(self, rows):
        return self.folder / f"part-{rows.start // CACHED:05d}.npz"

    def load(self, rows, found):
        """Fill in the images `rows`; return their errors, or None when they are not stored."""
        try:
            arrays = load_arrays(self._file(rows))
            for name, values in found.items():
                values[rows] = arrays[name]
            return [tuple(item) for item in parse_json(str(arrays["wrong"]), self._file(rows))]
        except (GluonfaceError, KeyError, ValueError):
            return None

    def save(self, rows, found, wrong):
        """Store the results of the images `rows`."""
        arrays = {name: values[rows] for name, values in found.items()}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with atomic_write(self._file(rows)) as file:
                write_npz(file, {**arrays, "wrong": np.array(json.dumps(wrong))})
        except OSError as error:
            logger.info("results are not stored: %s", error)

    def remove(self):
        """Remove all files of the cache."""
        with contextlib.suppress(OSError):
            shutil.rmtree(self.folder)


def _report(dataset, labels, sizes, hashes, grey, has_checksum, broken):
    """Return the report of `inspect_records` from what was found of each image."""
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
    bare = np.flatnonzero(~has_checksum & (sizes > 0))
    if has_checksum.any() and len(bare):
        problems.append(
            f"{dataset.path}: {len(bare)} records have no checksum and {has_checksum.sum()} have "
            f"one; record {dataset.key(bare[0])} is damaged or not of this set"
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
    copies, groups = _equal_images(dataset.key, labels, hashes, np.flatnonzero(sizes > 0))
    identities = len(each)
    known = recognise(classes or identities, len(dataset))
    return {
        "path": str(dataset.path),
        "images": len(dataset),
        "identities": identities,
        "num_classes": classes,
        "labels": [int(good.min()), int(good.max())] if len(good) else [],
        "images_each": _spread(each),
        "size": list(dataset.image_size),
        "bytes_each": float(sizes[sizes > 0].mean()) if (sizes > 0).any() else 0.0,
        "grey": int(grey.sum()),
        "duplicates": copies,
        "duplicate_groups": groups,
        "known": [entry.title for entry in known],
        "identities_with": {int(n): int(c) for n, c in zip(*np.unique(each, return_counts=True))},
        "checksums": int(has_checksum.sum()),
        "broken": [dataset.key(i) for i, _ in broken],
        "problems": problems,
    }


def _equal_images(name, labels, hashes, read, what="records"):
    """Return how many images are copies of another, and the first groups of equal ones."""
    order = read[np.argsort(hashes[read], kind="stable")]
    starts = np.flatnonzero(np.diff(hashes[order])) + 1
    groups = [group for group in np.split(order, starts) if len(group) > 1]
    copies = sum(len(group) - 1 for group in groups)
    groups = sorted(groups, key=lambda group: group[0])[:GROUPS]
    return copies, [
        {what: [name(i) for i in group], "labels": labels[group].tolist()} for group in groups
    ]


def inspect_source(source: FaceSource, name: str, progress: bool = True) -> dict:
    """Read and decode every image of a source.

    Parameters
    ----------
    source : FaceSource
    name : str
        What the report calls it.
    progress : bool, default True
        Show a progress bar on standard error.

    Returns
    -------
    dict
        As of `inspect_records`, with ``kind``, ``sizes`` (how many images have which width and
        height), ``groups`` (identities of each group) and ``ignored`` in place of what only
        records have.
    """
    count = len(source)
    sizes = np.zeros(count, np.int64)
    hashes = np.zeros(count, np.uint64)
    shapes = np.zeros((count, 2), np.int32)
    grey = np.zeros(count, bool)

    def check(i):
        try:
            data = source.read(i)
            sizes[i] = len(data)
            digest = hashlib.blake2b(data, digest_size=8).digest()
            hashes[i] = int.from_bytes(digest, "little")
            image = images.decode(data)
        except DataError as error:
            text = str(error)
            where = source.name(i)
            return (i, text if where in text else f"{where}: {text}")
        except OSError as error:
            return (i, f"{source.name(i)} cannot be read: {error.strerror}")
        shapes[i] = image.shape[:2]
        grey[i] = (image == image[..., :1]).all()
        return None

    workers = usable_cores()
    bar = tqdm(total=count, unit="image", disable=None if progress else True)
    broken = []
    with bar, concurrent.futures.ThreadPoolExecutor(workers) as pool:
        for wrong in map_ahead(pool, check, range(count), 16 * workers):
            broken += [] if wrong is None else [wrong]
            bar.update()
    labels = np.asarray(source.labels)
    each = np.bincount(labels[labels >= 0])
    each = each[each > 0] if len(each) else np.zeros(1, int)
    read = np.flatnonzero(sizes > 0)
    copies, groups = _equal_images(source.name, labels, hashes, read, "images")
    whole = shapes[shapes[:, 0] > 0]
    found, times = np.unique(whole, axis=0, return_counts=True) if len(whole) else ((), ())
    ignored = source.ignored()
    return {
        "path": name,
        "kind": source.kind,
        "images": count,
        "identities": source.num_identities,
        "groups": _identities_of_groups(source),
        "images_each": _spread(each),
        "sizes": {f"{w} x {h}": int(n) for (h, w), n in sorted(zip(map(tuple, found), times))},
        "bytes_each": float(sizes[read].mean()) if len(read) else 0.0,
        "grey": int(grey.sum()),
        "duplicates": copies,
        "duplicate_groups": groups,
        "known": [entry.title for entry in recognise(source.num_identities, count)],
        "identities_with": {int(n): int(c) for n, c in zip(*np.unique(each, return_counts=True))},
        "ignored": [list(item) for item in ignored],
        "broken": [source.name(i) for i, _ in broken],
        "problems": [reason for _, reason in broken],
    }


def _identities_of_groups(source) -> dict[str, int]:
    """Return how many identities each group has."""
    if source.groups is None:
        return {}
    members: dict[str, set[int]] = {}
    for index, label in enumerate(source.labels.tolist()):
        members.setdefault(source.group(index) or "", set()).add(label)
    return {group: len(members[group]) for group in sorted(members)}


def _spread(each):
    return {
        "least": int(each.min()) if len(each) else 0,
        "median": float(np.median(each)) if len(each) else 0.0,
        "mean": float(each.mean()) if len(each) else 0.0,
        "most": int(each.max()) if len(each) else 0,
    }


def inspect_pack(path: StrPath, progress: bool = False) -> dict:
    """Read and decode every image of a verification pack; return a dict as `inspect_records`."""
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
