"""Which folder of a path is the person: the rule for trees on disk, in archives and in lists."""

from __future__ import annotations

import collections
import logging
import typing
import unicodedata

import numpy as np

from ...errors import InputError
from .source import number_keys

__all__ = ["PersonFolders", "count_readings", "person_folders"]

logger = logging.getLogger(__name__)


class PersonFolders(typing.NamedTuple):
    """What `person_folders` returns: numbers, names of the numbers, group of each image or None."""

    labels: np.ndarray
    keys: list[str]
    groups: list[str | None] | None


def count_readings(names: typing.Sequence[str]) -> tuple[int, int]:
    """Return how many people there are by the first folder of each path, and by its last."""
    folders = {name.rpartition("/")[0] for name in names}
    return len({folder.split("/")[0] for folder in folders}), len(folders)


def person_folders(
    names: typing.Sequence[str], person: str | int | None, where: str
) -> PersonFolders:
    """Return who is on each image, from its path.

    Parameters
    ----------
    names : sequence of str
        Relative POSIX paths, each with a folder at least.
    person : {"first", "last"}, int or None
        ``first``: the first folder is the person (PERSON/SESSION/IMAGE). ``last``: the path of the
        last folder is (GROUP/PERSON/IMAGE), and the first one is the group. A number: so many
        folders from the root.
    where : str
        What is read, for messages.

    Raises
    ------
    InputError
        When images lie deeper than PERSON/IMAGE, the readings give different numbers of people,
        and `person` is None. The message has both.
    """
    loose = next((name for name in names if "/" not in name), None)
    if loose is not None:
        raise InputError(f"{where}: {loose} is in no person's folder; PERSON/IMAGE was expected")
    if person is None:
        first, last = count_readings(names)
        if first != last:
            deep = next(name for name in names if name.count("/") > 1)
            raise InputError(
                f"{where}: {deep} lies deeper than PERSON/IMAGE. By the first folder there are "
                f"{first} identities (PERSON/SESSION/IMAGE), by the last folder {last} "
                "(GROUP/PERSON/IMAGE). Say which: --person first or --person last "
                f"(person=){_repeated(names)}"
            )
        person = "first"
    # By folder, of which there are few, not by image.
    known: dict[str, int] = {}
    folder_of = np.fromiter(
        (known.setdefault(name.rpartition("/")[0], len(known)) for name in names),
        np.int32,
        len(names),
    )
    folders = [folder.split("/") for folder in known]
    if person == "last":
        keys = list(known)
        _report_repeated(names, where)
    else:
        depth = 1 if person == "first" else int(person)
        keys = ["/".join(parts[:depth]) for parts in folders]
    numbers, found = number_keys(keys)
    labels = numbers[folder_of]
    _report_spellings(found, where)
    groups = None
    if person not in ("first", 1) and any(len(parts) > 1 for parts in folders):
        tops = [parts[0] if len(parts) > 1 else None for parts in folders]
        groups = [tops[folder] for folder in folder_of.tolist()]
    return PersonFolders(labels, found, groups)


def _repeats(names):
    """Return the names of last folders that occur below several folders."""
    above = collections.defaultdict(set)
    for folder in {name.rpartition("/")[0] for name in names}:
        head, _, last = folder.rpartition("/")
        above[last].add(head)
    return sorted(last for last, heads in above.items() if len(heads) > 1)


def _repeated(names):
    """Return a sentence for the message that asks."""
    repeats = _repeats(names)
    if not repeats:
        return ""
    return (
        f". {len(repeats)} names of last folders, such as {repeats[0]}, occur below several "
        "folders: sessions of people, or people of several parts"
    )


def _report_spellings(keys, where):
    """Warn of names that look the same and are two people, for their accents are written apart."""
    known = {}
    for key in keys:
        if key.isascii():
            continue
        other = known.setdefault(unicodedata.normalize("NFC", key), key)
        if other != key:
            logger.warning(
                "%s: %s is there in two spellings that look the same (accents composed and "
                "decomposed, as macOS writes them), which are two people here; rename one folder "
                "if they are one",
                where,
                other,
            )


def _report_repeated(names, where):
    repeats = _repeats(names)
    if repeats:
        logger.warning(
            "%s: %d names of people, such as %s, occur below several folders; each path is a "
            "person of its own (--person first: if they are sessions of people)",
            where,
            len(repeats),
            repeats[0],
        )
