"""Training sets made of other training sets: a subset, a merger, another order.

The encoded images are copied as they are. Long work shows its progress; interrupted work continues
when it is started again.
"""

from __future__ import annotations

import typing

import numpy as np

from ...errors import DataError, InputError
from ...files import StrPath
from ..recordio.dataset import RecordDataset
from ..recordio.identity_names import read_identity_names
from ..samplers import cumulative_count
from ..text_files import comma_fields, numbered_lines, whole_number
from .resumable_writer import (
    copy_images,
    digest,
    write_identities,
    write_record_set,
    write_renumbered,
)

__all__ = ["merge", "read_identities", "read_identity_map", "shuffle", "subset"]


def subset(
    source: StrPath,
    out: StrPath,
    identities: typing.Sequence[int] | np.ndarray | None = None,
    images: typing.Sequence[int] | np.ndarray | None = None,
    min_images: int = 1,
    max_images: int | None = None,
    first: int | None = None,
    keep_ids: bool = False,
    seed: int = 0,
    **options,
) -> dict:
    """Write some of the identities and images of a set.

    Parameters
    ----------
    source, out : str or pathlib.Path
        The set, and the folder of the new one.
    identities : array of int, optional
        The identities to keep, by default all.
    images : array of int, optional
        The record keys of the images to keep, by default all.
    min_images : int, default 1
        Leave out identities with fewer images (of those kept).
    max_images : int, optional
        Of identities with more images keep so many, drawn by `seed`.
    first : int, optional
        Keep so many identities, those with the smallest numbers.
    keep_ids : bool, default False
        Leave the identities their numbers; by default they are numbered 0, 1, ... in order.
    seed : int, default 0
    **options
        `overwrite`, `workers` and `progress` of `write_record_set`.

    Returns
    -------
    dict
        As of `write_record_set`.

    Raises
    ------
    InputError
        When nothing is left, or an identity or an image is asked for that the set does not have.
    """
    dataset = RecordDataset(source, cache=0)
    labels = dataset.labels.astype(np.int64)
    keep = np.ones(len(labels), bool)
    if identities is not None:
        keep &= np.isin(labels, _check_known(identities, labels, "identities", dataset))
    if images is not None:
        keys = np.array([dataset.key(i) for i in range(len(dataset))])
        keep &= np.isin(keys, _check_known(images, keys, "images", dataset))
    for name, value in (("min_images", min_images), ("max_images", max_images), ("first", first)):
        if value is not None and value < 1:
            raise InputError(f"{name}={value}: 1 or more was expected")
    counts = np.bincount(labels[keep], minlength=int(np.max(labels)) + 1)
    keep &= counts[labels] >= min_images
    if max_images is not None:
        keep &= _drawn(labels, keep, max_images, seed)
    if first is not None:
        keep &= np.isin(labels, np.unique(labels[keep])[:first])
    order = np.flatnonzero(keep)
    if not len(order):
        raise InputError(f"{dataset.path}: no image is left; ask for less")
    order = order[np.argsort(labels[order], kind="stable")]
    chosen, number = np.unique(labels[order], return_inverse=True)

    def write_extras():
        write_renumbered(dataset, out, None if keep_ids else chosen)

    return copy_images(
        dataset,
        order,
        out,
        labels[order] if keep_ids else number,
        {"subset": digest(order), "keep_ids": keep_ids},
        num_classes=dataset.num_classes if keep_ids else len(chosen),
        write_extras=write_extras,
        **options,
    )


def merge(
    sources: typing.Sequence[StrPath], out: StrPath, identity_map: dict | None = None, **options
) -> dict:
    """Write several sets as one.

    Parameters
    ----------
    sources : list of str or pathlib.Path
        Two sets or more, or one with a map. The identities of each follow those of the one before.
    out : str or pathlib.Path
    identity_map : dict, optional
        Identities that are the same person: (set number from 0, identity) -> (set number,
        identity) of an earlier set, or of the same one. See `read_identity_map`.
    **options
        `overwrite`, `workers` and `progress` of `write_record_set`.

    Returns
    -------
    dict
        As of `write_record_set`, and ``joined``: how many identities the map joined.

    Raises
    ------
    InputError
        When the sets have images of different sizes, or the map names an identity that is not
        there.
    """
    if len(sources) < 1 + (not identity_map):
        raise InputError(
            f"{len(sources)} set to merge; two or more were expected, or one and a map"
        )
    sets = [RecordDataset(source, cache=0) for source in sources]
    sizes = {dataset.image_size for dataset in sets}
    if len(sizes) > 1:
        raise InputError(
            f"the sets hold images of {' and '.join(f'{w} x {h}' for h, w in sorted(sizes))} "
            "pixels; bring them to one size first: gluonface data pack SET OUT --resize"
        )
    where = np.concatenate([np.full(len(d), n) for n, d in enumerate(sets)])
    image = np.concatenate([np.arange(len(d)) for d in sets])
    labels = np.concatenate([d.labels.astype(np.int64) for d in sets])
    pairs, person = np.unique(np.stack([where, labels], 1), axis=0, return_inverse=True)
    person = person.reshape(-1)
    place = {tuple(pair): number for number, pair in enumerate(pairs.tolist())}
    target = np.arange(len(pairs))
    for new, old in (identity_map or {}).items():
        for pair in (new, old):
            if pair not in place:
                raise InputError(
                    f"the map names identity {pair[1]} of set {pair[0]}, which has no images there"
                )
        if place[old] >= place[new]:
            raise InputError(
                f"the map sends identity {new[1]} of set {new[0]} to {old[1]} of set {old[0]}; "
                "an earlier one was expected: exchange the two"
            )
        target[place[new]] = place[old]
    for number in range(len(target)):  # a target is smaller, hence final already: chains resolve
        target[number] = target[target[number]]
    _, final = np.unique(target, return_inverse=True)
    labels = final[person]
    order = np.argsort(labels, kind="stable")
    was = sorted(zip(final.tolist(), pairs.tolist()), key=lambda row: row[0])
    names = {
        (number, label): name
        for number, dataset in enumerate(sets)
        for label, name in read_identity_names(dataset.path.parent).items()
    }

    result = write_record_set(
        out,
        labels[order],
        lambda i: sets[where[order[i]]].read(int(image[order[i]])),
        {"merge": digest(order), "of": [dataset.stamp() for dataset in sets]},
        name=lambda i: f"set {where[order[i]]} record {sets[where[order[i]]].key(image[order[i]])}",
        num_classes=int(np.max(final)) + 1,
        write_extras=lambda: write_identities(
            out, ("identity", "set", "was"), ((n, *pair) for n, pair in was), names
        ),
        **options,
    )
    return {**result, "joined": int((target != np.arange(len(target))).sum())}


def shuffle(source: StrPath, out: StrPath, seed: int = 0, by: str = "image", **options) -> dict:
    """Write a set in another order.

    Parameters
    ----------
    source, out : str or pathlib.Path
    seed : int, default 0
    by : {"image", "identity"}
        ``image``: all images mixed, as a plain set without identity records, for readers that read
        a file from its beginning to its end; our own loader needs no shuffled file. ``identity``:
        the identities get other numbers, and the images of each stay together.
    **options
        `overwrite`, `workers` and `progress` of `write_record_set`.

    Returns
    -------
    dict
        As of `write_record_set`.
    """
    if by not in ("image", "identity"):
        raise InputError(f"by={by!r}: image or identity was expected")
    dataset = RecordDataset(source, cache=0)
    labels = dataset.labels.astype(np.int64)
    generator = _generator(seed)
    if by == "image":
        order = generator.permutation(len(labels))
        number, classes = labels[order], dataset.num_classes
    else:
        found = np.unique(labels)
        rank = np.empty(int(np.max(found)) + 1, np.int64)
        rank[generator.permutation(found)] = np.arange(len(found))
        order = np.argsort(rank[labels], kind="stable")
        number, classes = rank[labels[order]], len(found)

    def write_extras():
        write_renumbered(dataset, out, found[np.argsort(rank[found])] if by == "identity" else None)

    return copy_images(
        dataset,
        order,
        out,
        number,
        {"shuffle": by, "seed": seed},
        num_classes=classes,
        plain=by == "image",
        write_extras=write_extras,
        **options,
    )


def _check_known(wanted, have, what, dataset):
    wanted = np.asarray(wanted, np.int64)
    unknown = wanted[~np.isin(wanted, have)]
    if len(unknown):
        raise InputError(
            f"{dataset.path} has no {what} {', '.join(map(str, unknown[:5].tolist()))}"
            + (f" and {len(unknown) - 5} more" if len(unknown) > 5 else "")
        )
    return wanted


def _generator(seed):
    if seed < 0:
        raise InputError(f"seed={seed}: 0 or more was expected")
    return np.random.Generator(np.random.Philox(seed))


def _drawn(labels, keep, limit, seed):
    """Return which images are drawn: at most `limit` of each identity."""
    chance = _generator(seed).random(len(labels))
    chance[~keep] = 2.0
    order = np.lexsort((chance, labels))
    rank = cumulative_count(labels[order])
    drawn = np.zeros(len(labels), bool)
    drawn[order[rank < limit]] = True
    return drawn


def read_identities(path: StrPath) -> np.ndarray:
    """Read whole numbers, one per line; what follows a comma or blank on a line is ignored.

    So is a heading that begins with ``identity`` or ``record``, as in our own reports.

    Raises
    ------
    DataError
        Names the line that begins with something else.
    """
    numbers = []
    for number, line in numbered_lines(path):
        line = line.strip()
        if number == 1 and line.lower().startswith(("identity", "record")):
            continue
        value = whole_number(next(iter(line.replace(",", " ").split()), ""))
        if value is None:
            raise DataError(f"{path}: line {number} is {line[:60]!r}; a whole number was expected")
        numbers.append(value)
    return np.array(numbers, np.int64)


def read_identity_map(path: StrPath) -> dict[tuple[int, int], tuple[int, int]]:
    """Read which identities of several sets are the same person.

    Parameters
    ----------
    path : str or pathlib.Path
        A line per pair: ``set,identity,set,identity``, the later set first; sets are numbered from
        0 in the order in which they are merged. A fifth field, and a heading that begins with
        ``set``, are ignored.

    Returns
    -------
    dict of (int, int) to (int, int)

    Raises
    ------
    DataError
        Names the line that is something else, or gives an identity a second time.
    """
    result: dict[tuple[int, int], tuple[int, int]] = {}
    for number, line in numbered_lines(path):
        line = line.strip()
        if number == 1 and line.lower().startswith("set"):
            continue
        fields = [field.strip() for field in comma_fields(line)]
        values = [value for f in fields[:4] if (value := whole_number(f)) is not None]
        if len(fields) not in (4, 5) or len(values) < 4:
            raise DataError(
                f"{path}: line {number} is {line[:60]!r}; set,identity,set,identity was expected"
            )
        new, old = (values[0], values[1]), (values[2], values[3])
        if new in result:
            raise DataError(f"{path}: line {number} maps identity {new[1]} a second time")
        result[new] = old
    return result
