"""What the catalogue says of a set, and the list of all sets."""

import dataclasses
from typing import Optional

from ...registry import Registry

__all__ = ["CATALOG", "Entry", "add"]

CATALOG = Registry("data set")

RESEARCH = "non-commercial research only"
INSIGHTFACE = "https://github.com/deepinsight/insightface/tree/master/recognition/_datasets_"
RECORDS = "train.rec, train.idx, property (InsightFace's RecordIO)"
UNPACK = (
    "unpack; look with `gluonface data inspect DIR`; train with `gluonface train --data DIR`. The "
    "folder usually brings lfw.bin, cfp_fp.bin and agedb_30.bin"
)
PAIRS = "NAME.bin, a verification pack"
PACKED = (
    "the pack comes with InsightFace's training sets; `gluonface eval verification --pack FILE`. "
    "Of photographs: `gluonface data align`, then `gluonface data pack-pairs`"
)


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
        Exact counts of the set as it is distributed.
    about : str
        The counts in words, and of what.
    layout : str
        The files after unpacking.
    license : str
    page : str
        Where the set is described and found.
    after : str
        What to do after the download.
    note : str
        Whose word the numbers and the sums are, and what is not known.
    pairs, same : int or None
        Of verification packs.
    sums : dict of str to str
        MD5 or SHA-256 by file name, as the set's makers or packages that read it state them.
    copies : dict of str to tuple of str
        SHA-256 by file name, of copies that were seen. Another sum proves nothing.
    """

    name: str
    title: str
    kind: str
    about: str
    layout: str
    license: str
    page: str
    after: str
    identities: Optional[int] = None
    images: Optional[int] = None
    pairs: Optional[int] = None
    same: Optional[int] = None
    note: str = ""
    sums: dict = dataclasses.field(default_factory=dict)
    copies: dict = dataclasses.field(default_factory=dict)


NO_SUMS = "its makers publish no sums of the files"


def add(name, *values, aliases=(), **more):
    """Enter a set into the catalogue."""
    CATALOG.register(name, aliases)(Entry(name, *values, **more))
