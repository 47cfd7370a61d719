"""What all sources of face images have in common."""

from __future__ import annotations

import numpy as np

__all__ = ["FaceSource"]


class FaceSource:
    """Encoded face images with identities, in whatever form people hold them.

    A subclass sets `kind` and `labels` and overrides `name` and `read`, and what else it knows.

    Attributes
    ----------
    kind : str
        The form, for reports: ``folders``, ``list``, ``records``.
    labels : numpy.ndarray
        int64 (n,), the number of the identity of each image; -1 where it cannot be read.
    """

    kind = ""
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def num_identities(self) -> int:
        """How many identities there are."""
        return len(np.unique(self.labels[self.labels >= 0]))

    def identity_of_label(self, label: int) -> str:
        """Return the name of the identity with this number; the number itself if it has none."""
        return str(label)

    def identity(self, index: int) -> str:
        """Return the name of the identity of image `index`."""
        return self.identity_of_label(int(self.labels[index]))

    def group(self, index: int) -> str | None:
        """Return the group (such as a demographic one) of image `index`, None without groups."""
        return None

    def name(self, index: int) -> str:
        """Return what messages and reports call image `index`, such as its path."""
        raise NotImplementedError

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
