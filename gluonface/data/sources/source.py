"""What all sources of face images have in common."""

from __future__ import annotations

import re
import typing

import numpy as np

__all__ = ["FaceSource", "file_name", "natural_key", "number_keys"]


def natural_key(text: str) -> tuple:
    """Return a key that sorts numbers in text by value: ``p2`` before ``p10``."""
    words = re.split(r"([0-9]+)", text)
    for place in range(1, len(words), 2):
        digits = words[place].lstrip("0")
        words[place] = (len(digits), digits)  # as the number, which may be of any length
    return tuple(words), text


def file_name(name: str) -> str:
    """Return the name of a person as that of a folder: no separators, at most 200 bytes."""
    plain = re.sub(r"[^\w.,()+= -]", "_", name).encode("utf-8", "replace")[:200]
    return plain.decode("utf-8", "ignore").strip(". ") or "_"


def number_keys(values: typing.Sequence | np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Number identities from 0 in the natural order of their keys.

    Parameters
    ----------
    values : sequence
        The key of each image, text or whole numbers; None for an image without an identity.

    Returns
    -------
    tuple of (numpy.ndarray, list of str)
        The number of each image, int32 (n,), -1 for None; the key of each number.
    """
    if isinstance(values, np.ndarray) and values.dtype.kind in "iu":
        if len(values) and values.min() >= 0 and values.max() < 4 * len(values) + 1000:
            there = np.zeros(int(values.max()) + 1, np.int32)  # less memory and time than sorting
            there[values] = 1
            ranks = np.cumsum(there, dtype=np.int32) - 1
            return ranks[values], [str(value) for value in np.flatnonzero(there).tolist()]
        found, labels = np.unique(values, return_inverse=True)
        return labels.astype(np.int32), [str(value) for value in found.tolist()]
    keys = sorted({str(value) for value in values if value is not None}, key=natural_key)
    numbers = {key: number for number, key in enumerate(keys)}
    numbered = (-1 if value is None else numbers[str(value)] for value in values)
    return np.fromiter(numbered, np.int32, len(values)), keys


class FaceSource:
    """Encoded face images with identities, in whatever form people hold them.

    A subclass sets `kind` and `labels`, and `keys` where identities have names, and overrides
    `name` and `read`, and what else it knows.

    Attributes
    ----------
    kind : str
        The form, for reports: ``folders``, ``list``, ``records``, ``zip``, ``parquet``, ...
    labels : numpy.ndarray
        Whole numbers (n,), the number of the identity of each image; -1 where it cannot be read.
    keys : list of str or None
        The name of each number; None where the number is all there is.
    groups : list of str or None
        The group (such as a demographic one) of each image; a sequence of length n.
    in_order : bool
        Images are to be read in the order of the source: another order is slow.
    """

    kind = ""
    labels: np.ndarray
    keys: list[str] | None = None
    groups: typing.Sequence[str | None] | None = None
    in_order = False

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def num_identities(self) -> int:
        """How many identities there are."""
        return len(np.unique(self.labels[self.labels >= 0]))

    def identity_of_label(self, label: int) -> str:
        """Return the name of the identity with this number; the number itself if it has none."""
        return str(label) if self.keys is None or label < 0 else self.keys[label]

    def identity(self, index: int) -> str:
        """Return the name of the identity of image `index`."""
        return self.identity_of_label(int(self.labels[index]))

    def group(self, index: int) -> str | None:
        """Return the group (such as a demographic one) of image `index`, None without groups."""
        return None if self.groups is None else self.groups[index]

    def name(self, index: int) -> str:
        """Return what messages and reports call image `index`, such as its path."""
        raise NotImplementedError

    def relative_name(self, index: int) -> str:
        """Return a relative POSIX path for image `index`, by which files made of it are named."""
        return f"{file_name(self.identity(index))}/{index:08d}"

    def points(self, index: int) -> np.ndarray | None:
        """Return the landmarks (5, 2) that the source has of image `index`, or None."""
        return None

    def read(self, index: int) -> bytes:
        """Return the encoded image `index` as it is stored.

        Raises
        ------
        DataError, OSError
            When it cannot be read.
        """
        raise NotImplementedError

    def ignored(self) -> list[tuple[str, str]]:
        """Return what lies in the source and is no image of it: pairs of name and reason."""
        return []

    def stamp(self):
        """Return a value, as JSON can hold it, that changes when the source does."""
        raise NotImplementedError

    def content_stamp(self):
        """Return a `stamp` that also changes when an image does, if that costs more to tell."""
        return self.stamp()
