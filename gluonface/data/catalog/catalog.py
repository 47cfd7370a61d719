"""What the catalogue says of a public face set, the registry of all sets, and recognising a set."""

from __future__ import annotations

import dataclasses
import pathlib

import yaml

from ...registry import Registry

__all__ = ["CATALOG", "Entry", "recognise"]

CATALOG = Registry("data set")


@dataclasses.dataclass(frozen=True)
class Entry:
    """One set.

    Attributes
    ----------
    name : str
        As `gluonface data catalog NAME` takes it.
    title : str
        As papers write it.
    kind : str
        ``training``, ``pairs`` (a verification pack) or ``protocol``.
    identities, images : int or None
        Exact counts of the set as it is distributed; None where they are not published.
    about : str
        The counts in words, and of what.
    layout : str
        The files after unpacking.
    license : str
    page : str
        Where the set is described and found.
    forms : str
        In which forms the set is found today; `gluonface.data.open_source` reads them.
    after : str
        What to do after the download.
    note : str
        The sources of the counts and checksums, and what is not known.
    pairs, same : int or None
        Of verification packs.
    sums : dict of str to str
        MD5 or SHA-256 by file name, as published by the set's makers or by packages that read it.
    copies : dict of str to list of str
        SHA-256 by file name of known copies. Another sum does not prove damage.
    """

    name: str
    title: str
    kind: str
    about: str
    layout: str
    license: str
    page: str
    after: str
    forms: str = ""
    identities: int | None = None
    images: int | None = None
    pairs: int | None = None
    same: int | None = None
    note: str = ""
    sums: dict = dataclasses.field(default_factory=dict)
    copies: dict = dataclasses.field(default_factory=dict)


def _read_entries():
    for path in sorted(pathlib.Path(__file__).parent.glob("*.yaml")):
        for name, fields in yaml.safe_load(path.read_text(encoding="utf-8")).items():
            aliases = fields.pop("aliases", ())
            CATALOG.register(name, aliases)(Entry(name, **fields))


_read_entries()


def recognise(
    identities: int | None = None,
    images: int | None = None,
    pairs: int | None = None,
    same: int | None = None,
    sha256: str | None = None,
) -> list[Entry]:
    """Return the entries with exactly these counts, or the one that has a copy with this checksum.

    Parameters
    ----------
    identities, images : int, optional
        Of a training set. An entry without an exact number of images is found by its identities.
    pairs, same : int, optional
        Of a verification pack; several have the same counts.
    sha256 : str, optional
        Of a verification pack.
    """
    found = []
    for name in CATALOG.list():
        entry = CATALOG.get(name)
        if sha256 is not None and any(sha256 in known for known in entry.copies.values()):
            return [entry]
        if entry.kind == "training" and identities is not None:
            fits = entry.identities == identities and entry.images in (None, images)
        else:
            fits = entry.kind == "pairs" and (entry.pairs, entry.same) == (pairs, same)
        if fits:
            found.append(entry)
    return found
