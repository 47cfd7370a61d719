"""Looking through a whole set: what is in it, and what is wrong with it."""

import concurrent.futures
import hashlib
import pathlib

import numpy as np
from tqdm import tqdm

from .._compat import cv2, usable_cores
from ..errors import DataError
from ..files import atomic_write
from .catalog import recognise
from .packs import VerificationPack
from .record_index import how_to_rebuild
from .records import RecordDataset

__all__ = ["contact_sheet", "plot_identities", "survey_pack", "survey_records"]

_STEP = 256  # images that one task looks at
GROUPS = 100  # groups of equal images that a report lists


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
        "known": [entry.title for entry in recognise(pairs=len(pack), same=same)],
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


def plot_identities(found, path):
    """Draw how many identities have how many images.

    Parameters
    ----------
    found : dict
        From `survey_records`.
    path : str or pathlib.Path
        The picture to write; its suffix says which kind (.png, .svg, .pdf).
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    numbers = np.array(list(found["identities_with"]), float)
    counts = np.array(list(found["identities_with"].values()), float)
    if len(numbers):
        if np.ptp(numbers) < 60:
            axes.bar(numbers, counts, width=0.9, color="#3b6ea8")
            axes.set_xlim(max(0.0, numbers.min() - 5), numbers.max() + 5)
            axes.xaxis.get_major_locator().set_params(integer=True)
        else:
            bins = np.unique(np.floor(np.geomspace(numbers.min(), numbers.max() + 1, 40)))
            axes.hist(numbers, bins, weights=counts, color="#3b6ea8")
            axes.set_xscale("log")
        median = found["images_each"]["median"]
        axes.axvline(median, color="#c44", linestyle="--", label=f"median {median:g}")
        axes.legend(loc="upper right", framealpha=0.9)
        axes.set_ylim(0, 1.2 * axes.get_ylim()[1])
    axes.set_xlabel("images of an identity")
    axes.set_ylabel("identities")
    axes.set_title(f"{found['identities']:,} identities, {found['images']:,} images", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    with atomic_write(path) as file:
        figure.savefig(file, dpi=120, format=pathlib.Path(path).suffix[1:].lower() or "png")
