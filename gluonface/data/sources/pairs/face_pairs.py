"""What all pairs of face images have in common, whatever form they come in."""

from __future__ import annotations

import logging
import typing

import numpy as np

from ....errors import DataError, InputError
from ... import images
from ...pair_folds import fair_folds

__all__ = ["FacePairs", "common_group"]

logger = logging.getLogger(__name__)


class FacePairs:
    """Pairs of encoded face images, each pair of the same person or of two.

    An image that is in many pairs is one image: `sides` says which two are pair i.

    Parameters
    ----------
    name : str
        For tables.
    sides : array_like of int, shape (n, 2)
        The numbers of the two images of each pair.
    issame : array_like of bool, shape (n,)
    read : function
        From the number of an image to its encoded bytes, as they are stored.
    image_name : function
        From the number of an image to what messages call it.
    num_images : int
    folds : sequence of int, optional
        The fold of each pair, where the form has folds.
    groups : sequence of str, optional
        The group of each pair: that of both images, or "A | B" where they differ.
    group_lists : bool, default False
        Whether each group is a list of its own, with folds of its own, as in RFW.
    inputs : dict of str to str, optional
        SHA-256 of the files that say which images are pairs.
    size : int, default 112
        Height and width of the images that `image` returns.
    resize : bool, default False
        Bring images of another size to it; else they are an error, for photographs are to be
        aligned first.

    Attributes
    ----------
    issame : numpy.ndarray
        bool (n,).
    folds : numpy.ndarray or None
        int64 (n,).
    groups : list of str or None
    notes : list of str
        What a reader has to know.
    sha256 : str or None
        Of a pack's file.

    Raises
    ------
    DataError
        When there are no pairs.
    """

    sha256: str | None = None

    def __init__(
        self,
        name: str,
        sides: typing.Any,
        issame: typing.Any,
        read: typing.Callable[[int], bytes],
        image_name: typing.Callable[[int], str],
        num_images: int,
        folds: typing.Sequence[int] | None = None,
        groups: typing.Sequence[str] | None = None,
        group_lists: bool = False,
        inputs: dict[str, str] | None = None,
        size: int = 112,
        resize: bool = False,
    ):
        self.name = name
        self.sides = np.asarray(sides, np.int64).reshape(-1, 2)
        self.issame = np.asarray(issame, bool)
        if not len(self.issame):
            raise DataError(f"{name} holds no pairs")
        self.read, self.image_name, self.num_images = read, image_name, num_images
        self.folds = None if folds is None else np.asarray(folds, np.int64)
        self.groups = None if groups is None else [str(group) for group in groups]
        self.group_lists = group_lists
        self.inputs = dict(inputs or {})
        self.size, self.resize = size, resize
        self.notes: list[str] = []

    def __len__(self) -> int:
        return len(self.issame)

    def note(self, text: str) -> None:
        """Keep and log what a reader has to know."""
        self.notes.append(text)
        logger.warning("%s: %s", self.name, text)

    def warn_of_one_kind(self) -> None:
        """Log it if all pairs are of one kind."""
        if self.issame.all() or not self.issame.any():
            logger.warning(
                "%s: all %d pairs are of %s; accuracy and error rates need both kinds",
                self.name,
                len(self),
                "the same person" if self.issame[0] else "different people",
            )

    def images(self, pair: int) -> tuple[bytes, bytes]:
        """Return the two encoded images of a pair, as they are stored.

        Raises
        ------
        InputError
            When there is no such pair.
        DataError
            When an image cannot be read.
        """
        if not -len(self) <= pair < len(self):
            raise InputError(f"{self.name} has pairs 0 to {len(self) - 1}, not {pair}")
        first, second = self.sides[pair].tolist()
        return self.read(first), self.read(second)

    def image(self, number: int) -> np.ndarray:
        """Return image `number` as uint8 (size, size, 3) RGB; DataError names it."""
        try:
            image = images.decode(self.read(number))
        except DataError as error:
            raise DataError(f"{self.image_name(number)} cannot be used: {error}") from error
        if image.shape[:2] != (self.size, self.size):
            if not self.resize:
                raise DataError(
                    f"{self.image_name(number)} has {image.shape[1]} x {image.shape[0]} pixels; "
                    f"an aligned face of {self.size} x {self.size} was expected. Align photographs "
                    "first (gluonface data align), or add --resize"
                )
            image = images.fit(image, self.size)
        return image

    def iter_batches(self, batch_size: int = 64) -> typing.Iterator[np.ndarray]:
        """Yield all images, each once, as uint8 (b, size, size, 3) RGB, b <= `batch_size`."""
        if batch_size < 1:
            raise InputError(f"batch_size {batch_size}: 1 or more was expected")
        for start in range(0, self.num_images, batch_size):
            stop = min(start + batch_size, self.num_images)
            yield np.stack([self.image(number) for number in range(start, stop)])

    def make_folds(self, folds: int) -> None:
        """Part the pairs into so many folds, instead of those that the list may have.

        Raises
        ------
        InputError
            When that is no number of folds, or there are fewer pairs.
        """
        if self.folds is not None:
            own = len(np.unique(self.folds))
            if own == folds:
                return
            self.note(f"its own {own} folds are not used, for {folds} were asked for")
        self.folds, dealt = self.fair_folds(folds)
        if dealt:
            self.note(
                f"the pairs are sorted by kind: each of the {folds} folds takes its part of the "
                "same pairs and of the different ones, not a stretch of the list"
            )

    def fair_folds(self, folds: int) -> tuple[np.ndarray, bool]:
        """Return the fold of each pair, and whether they are dealt: `pair_folds.fair_folds`.

        Groups that are lists of their own are parted one by one.
        """
        if not self.group_lists or self.groups is None:
            return fair_folds(self.issame, folds)
        names, number = np.unique(self.groups, return_inverse=True)
        result, dealt = np.empty(len(self), np.int64), False
        for place in range(len(names)):
            own = number == place
            result[own], one = fair_folds(self.issame[own], folds)
            dealt = dealt or one
        return result, dealt


def common_group(first: str, second: str) -> str:
    """Return the group of a pair of images: the one that both have, or both, sorted."""
    return first if first == second else " | ".join(sorted((first, second)))
