"""People of a test set who are in the training set, and what they do to an accuracy.

A benchmark whose people were trained on measures memory. Every training person is a class mean,
every test person a sum of embeddings; a test person who is nearer to a training person than
training people are to each other is listed. The list has candidates: people decide.

References
----------
Labeled Faces in the Wild and MS1MV2 share 46.9 % of LFW's people: arXiv 2405.09403. Folds that
share people: arXiv 2405.15965.
"""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import InputError
from ..metrics.folds import join_people
from ..metrics.operating_points import allowed_accepts
from ..scores.feature_matrix import check_matrix, unit_matrix

__all__ = [
    "LEAST",
    "Overlap",
    "best_others",
    "find_overlap",
    "kept_pairs",
    "people_of_pairs",
    "people_templates",
    "strict_threshold",
]

SHARE = 0.01  # of the training people, who may be nearer to each other than the threshold
LEAST = 30  # pairs of either kind that an accuracy needs
BLOCK = 1 << 22  # cosines computed together


@dataclasses.dataclass(frozen=True, eq=False)
class Overlap:
    """Test people who are perhaps training people.

    Attributes
    ----------
    threshold : float
        Cosine.
    best : numpy.ndarray, shape (people,), float64
        The best cosine of each test person to a training person.
    match : numpy.ndarray, shape (people,), int64
        Which one that is.
    flagged : list of (int, int, float)
        Test person, training person and cosine where that is at or above the threshold, the
        nearest first.
    """

    threshold: float
    best: np.ndarray
    match: np.ndarray
    flagged: list[tuple[int, int, float]]

    @property
    def share(self) -> float:
        """Share of the test people who are flagged."""
        return len(self.flagged) / len(self.best)

    def to_dict(self) -> dict[str, Any]:
        """Return the figures ready for JSON."""
        return {
            "threshold": self.threshold,
            "people": len(self.best),
            "flagged": [list(row) for row in self.flagged],
            "share": self.share,
        }


def people_templates(outputs: npt.ArrayLike, person: npt.ArrayLike) -> tuple[np.ndarray, list]:
    """Return the sum of the outputs of each person, (m, D) float64, and the people, ascending.

    Parameters
    ----------
    outputs : array_like, shape (n, D)
    person : array_like, shape (n,)
        Names or numbers.
    """
    rows = check_matrix(outputs, "outputs")
    people, place = np.unique(np.asarray(person), return_inverse=True)
    place = place.reshape(-1)
    order = np.argsort(place, kind="stable")
    starts = np.searchsorted(place[order], np.arange(len(people)))
    sums = np.empty((len(people), rows.shape[1]))
    for number, (start, stop) in enumerate(zip(starts, [*starts[1:], len(order)])):
        sums[number] = rows[order[start:stop]].astype(np.float64).sum(axis=0)
    return sums, people.tolist()


def find_overlap(train: npt.ArrayLike, test: npt.ArrayLike, threshold: float) -> Overlap:
    """Find the test people who are perhaps training people.

    Parameters
    ----------
    train, test : array_like, shape (n, D) and (m, D)
        A vector of each person, of any length.
    threshold : float
        Cosine: people at or above it are flagged. `best_others` and `strict_threshold` give one.

    Returns
    -------
    Overlap

    Raises
    ------
    InputError
        Wrong shapes, or vectors of two sizes.
    """
    units = [
        unit_matrix(rows, name, np.float64)[0] for rows, name in ((train, "train"), (test, "test"))
    ]
    if units[0].shape[1] != units[1].shape[1]:
        raise InputError(
            f"training people have {units[0].shape[1]} values and test people {units[1].shape[1]}; "
            "embeddings of one model were expected"
        )
    best, match = np.empty(len(units[1])), np.empty(len(units[1]), np.int64)
    step = max(1, BLOCK // len(units[0]))
    for start in range(0, len(best), step):
        tile = units[1][start : start + step] @ units[0].T
        match[start : start + step] = tile.argmax(axis=1)
        best[start : start + step] = tile.max(axis=1)
    flagged = np.flatnonzero(best >= threshold)
    flagged = flagged[np.argsort(-best[flagged], kind="stable")]
    rows = zip(flagged.tolist(), match[flagged].tolist(), best[flagged].tolist())
    return Overlap(float(threshold), best, match, list(rows))


def best_others(
    train: npt.ArrayLike, outputs: npt.ArrayLike | None = None, person: npt.ArrayLike | None = None
) -> np.ndarray:
    """Return the best cosine of each training person, or image, to another training person.

    Parameters
    ----------
    train : array_like, shape (n, D)
    outputs : array_like, shape (m, D), optional
        Of training images; None: the people are compared with each other.
    person : array_like of int, shape (m,)
        The row of `train` that each image belongs to.
    """
    units = unit_matrix(train, "train", np.float64)[0]
    rows, own = units, np.arange(len(units))
    if outputs is not None:
        rows, own = unit_matrix(outputs, "outputs", np.float64)[0], np.asarray(person)
    if len(units) < 2:
        raise InputError("there is one training person; a threshold needs two or more")
    best = np.empty(len(rows))
    step = max(1, BLOCK // len(units))
    for start in range(0, len(rows), step):
        tile = rows[start : start + step] @ units.T
        tile[np.arange(len(tile)), own[start : start + step]] = -np.inf
        best[start : start + step] = tile.max(axis=1)
    return best


def strict_threshold(best: np.ndarray, share: float = SHARE) -> float:
    """Return the smallest cosine that at most a `share` of `best` exceeds."""
    allowed = allowed_accepts(share, len(best), "share")
    return float(np.sort(best)[::-1][min(allowed, len(best) - 1)])


def people_of_pairs(images: list[bytes], issame: npt.ArrayLike) -> np.ndarray:
    """Return numbers of the people on the images of pairs, as far as same pairs tell.

    A pack does not say who is on its images. Equal images and both images of a same pair are one
    person; two numbers may still be one person whom no pair joins.

    Parameters
    ----------
    images : list of bytes
        The encoded images a0, b0, a1, b1, ...
    issame : array_like of bool, shape (n,)

    Returns
    -------
    numpy.ndarray, shape (2n,), int64
        From 0 on.
    """
    known: dict[bytes, int] = {}
    place = np.array(
        [known.setdefault(hashlib.sha256(bytes(image)).digest(), len(known)) for image in images]
    )
    same = np.asarray(issame, bool)
    joined = join_people(len(known), place[0::2][same], place[1::2][same])
    return np.unique(joined[place], return_inverse=True)[1].reshape(-1)


def kept_pairs(person: np.ndarray, flagged: set[int]) -> np.ndarray:
    """Return which pairs, (n,) bool, show nobody who is flagged; `person` (2n,) as a0, b0, ..."""
    touched = np.isin(person, sorted(flagged))
    return ~(touched[0::2] | touched[1::2])
