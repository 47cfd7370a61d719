"""The public face sets: what they hold, where they come from, and how to check a download.

Nothing is downloaded from here. A count is exact, or None where nobody states it; `note` says whose
word it is, and what is not known.
"""

from . import evaluation_sets, training_sets  # noqa: F401  (they fill the catalogue)
from .entry import CATALOG, Entry

__all__ = ["CATALOG", "Entry", "recognise"]


def recognise(identities=None, images=None, pairs=None, same=None, sha256=None):
    """Return the entries that have just these counts, or the one that has a copy with this sum.

    Parameters
    ----------
    identities, images : int, optional
        Of a training set. An entry without an exact number of images counts by its identities.
    pairs, same : int, optional
        Of a verification pack; several have the same counts.
    sha256 : str, optional
        Of a verification pack.

    Returns
    -------
    list of Entry
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
