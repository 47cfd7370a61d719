"""Faces in folders: one folder of images per person."""

from __future__ import annotations

import pathlib
import re

from ...errors import InputError
from ...files import StrPath
from .image_files import ImageFiles
from .photo_folder import find_others, find_photos

__all__ = ["IdentityFolders"]


class IdentityFolders(ImageFiles):
    """A folder with a folder of images per person, in which there may be further folders.

    Identities are numbered in the natural order of the folders' names: ``p2`` before ``p10``.

    Parameters
    ----------
    root : str or pathlib.Path

    Raises
    ------
    InputError
        When there are no images, or one lies in no person's folder.
    """

    kind = "folders"

    def __init__(self, root: StrPath):
        self.root = pathlib.Path(root)
        photos = find_photos(self.root)
        owners = [photo.split("/")[0] for photo in photos]
        for photo in photos:
            if "/" not in photo:
                raise InputError(
                    f"{self.root / photo} is in no person's folder; "
                    f"{self.root}/PERSON/IMAGE was expected"
                )
        self.people = sorted(set(owners), key=_natural_key)
        numbers = {person: number for number, person in enumerate(self.people)}
        super().__init__(
            [str(self.root / photo) for photo in photos], [numbers[owner] for owner in owners]
        )

    def identity_of_label(self, label: int) -> str:
        """See `FaceSource`. The name of the folder."""
        return self.people[label]

    def ignored(self) -> list[tuple[str, str]]:
        """See `FaceSource`. Files of other kinds and empty folders."""
        return [(str(self.root / name), reason) for name, reason in find_others(self.root)]


def _natural_key(text):
    return [int(word) if word.isdigit() else word for word in re.split(r"(\d+)", text)]
