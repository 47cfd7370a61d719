"""WebDataset: tar shards in which files with one key are a sample."""

from __future__ import annotations

import array
import json
import pathlib
import re
import typing

from ....errors import DataError, InputError
from ..list_columns import IDENTITY_COLUMNS, shorten
from ..source import number_keys
from .archive_files import ArchiveFiles
from .open_archive import Archive

__all__ = ["WebDataset", "check_shard_list", "has_samples", "is_label_member"]

IMAGES = ("jpg", "jpeg", "png", "webp", "bmp")
LABELS = ("cls", "cls.txt", "json", "id", "txt")  # the first that a sample has is its label
MOST = 1 << 20  # bytes of a label; json may hold more than that


def _key_and_suffix(name):
    """Cut a name as webdataset does: the suffix begins at the first dot of the base name."""
    folder, slash, base = name.rpartition("/")
    stem, _, suffix = base.partition(".")
    return folder + slash + stem, suffix.lower()


def is_label_member(name: str) -> bool:
    """Return whether a member may be the label of a sample."""
    return _key_and_suffix(name)[1] in LABELS


def _samples(names):
    """Yield {suffix: number of the file} and key of each sample, in the order of the archive."""
    key, sample = None, {}
    for number, name in enumerate(names):
        if name.rpartition("/")[2].startswith("."):
            continue
        one, suffix = _key_and_suffix(name)
        if sample and (one != key or suffix in sample):
            yield key, sample
            sample = {}
        key = one
        sample[suffix] = number
    if sample:
        yield key, sample


def has_samples(names: typing.Sequence[str]) -> bool:
    """Return whether files are a WebDataset: some sample has an image and a label."""
    return any(
        not sample.keys().isdisjoint(IMAGES) and not sample.keys().isdisjoint(LABELS)
        for _, sample in _samples(names)
    )


class WebDataset(ArchiveFiles):
    """Samples of WebDataset shards, which are one set with shared labels.

    Parameters
    ----------
    shards : list of Archive
    column : str, optional
        The field of ``json`` that is the identity; by default the one with a known name.

    Raises
    ------
    DataError
        When a sample has two images or a label that is none; names it.
    InputError
        When no sample has an image and a label.
    """

    kind = "webdataset"

    def __init__(self, shards: typing.Sequence[Archive], column: str | None = None):
        members, identities = array.array("i"), []
        same: dict[str, str] = {}  # one text for all images of a person
        self._others: list[tuple[str, str]] = []
        for number, shard in enumerate(shards):
            for key, sample in _samples(shard.names):
                images = [suffix for suffix in IMAGES if suffix in sample]
                label = next((suffix for suffix in LABELS if suffix in sample), None)
                where = f"{shard.path}: {key}"
                if not images:
                    continue
                if len(images) > 1:
                    raise DataError(
                        f"{where} has {len(images)} images ({', '.join(images)}) under one key; "
                        "one was expected"
                    )
                if label is None:
                    self._others.append((where, "it has no label (.cls, .json, .id, .txt)"))
                    continue
                who = _identity(shard.read(sample[label]), label, where, column)
                if who is None:
                    self._others.append((where, "its label is -1 or null, nobody"))
                    continue
                members.extend((number, sample[images[0]]))
                identities.append(same.setdefault(who, who))
        if not members:
            raise InputError(f"{shards[0].path}: no sample has an image and a label")
        labels, self.keys = number_keys(identities)
        super().__init__(shards, members, labels)

    def ignored(self) -> list[tuple[str, str]]:
        """See `FaceSource`. Members that were passed over, and samples without a label."""
        return super().ignored() + self._others


def _identity(data, suffix, where, column):
    """Return the identity that a label file holds, None for nobody."""
    if len(data) > MOST:
        raise DataError(f"{where}.{suffix} has more than {MOST:,} bytes; a label was expected")
    try:
        text = data.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise DataError(f"{where}.{suffix} is no text; a label was expected") from error
    if suffix == "json":
        text = _of_json(text, where, column)
        if text is None:
            return None
    elif not text or "\n" in text or len(text) > 500:
        raise DataError(f"{where}.{suffix} holds {text[:40]!r}; a label in one line was expected")
    elif suffix == "txt" and not re.fullmatch(r"-?[0-9]+", text):
        raise DataError(f"{where}.txt holds {text[:40]!r}; a whole number was expected")
    return None if text == "-1" else text


def _of_json(text, where, column):
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}.json is no JSON: {error}") from error
    if not isinstance(tree, (dict, int, str)) or isinstance(tree, bool):
        raise DataError(f"{where}.json holds {text[:40]!r}; an object with a label was expected")
    if not isinstance(tree, dict):
        return str(tree)
    found = [column] if column in tree else [key for key in IDENTITY_COLUMNS if key in tree]
    if len(found) != 1 or (column is not None and found != [column]):
        raise InputError(
            f"{where}.json has the fields {shorten(tree)}; "
            f"{' and '.join(found) or 'none'} may be the identity: say --columns identity=NAME "
            "(columns=)"
        )
    value = tree[found[0]]
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, str)) or value == "":
        raise DataError(f"{where}.json: {found[0]} is {str(value)[:40]!r}; a label was expected")
    return str(value)


def check_shard_list(folder: pathlib.Path, shards: typing.Sequence[Archive]) -> None:
    """Compare shards with ``datasets_webdataset.json``, where their writer left it.

    Raises
    ------
    InputError
        When one of its shards is missing.
    DataError
        When a shard has another number of samples.
    """
    file = folder / "datasets_webdataset.json"
    if not file.is_file():
        return
    try:
        listed = json.loads(file.read_text(encoding="utf-8"))["shardlist"]
        counts = {
            pathlib.PurePosixPath(str(item["url"])).name: int(item["nsamples"]) for item in listed
        }
    except (KeyError, TypeError, ValueError, OSError, RecursionError):
        return  # the tool's own file, of use for this check only
    there = {shard.path.name: shard for shard in shards}
    missing = [name for name in counts if name not in there]
    if missing:
        raise InputError(f"{folder / missing[0]} is missing; {file.name} there names it: fetch it")
    for name, count in counts.items():
        found = sum(1 for _ in _samples(there[name].names))
        if found != count:
            raise DataError(
                f"{there[name].path} has {found} samples, {file.name} says {count}; it was cut "
                "short or changed: fetch it again"
            )
