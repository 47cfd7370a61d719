"""Your own faces: a directory with a folder for each person. All pairs or listed ones."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import DataError
from ..files.text_tables import read_fields
from ..metrics.folds import people_folds
from ..results.evaluation_result import EvaluationResult
from ..results.verification_result import VerificationResult
from ..scores.feature_matrix import check_matrix
from . import verification
from .all_pairs import compare_all

__all__ = ["DEFAULT_FARS", "evaluate", "evaluate_listed", "folds_by_people", "read_pairs"]

DEFAULT_FARS = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)


def evaluate(
    features: npt.ArrayLike,
    people: npt.ArrayLike,
    *,
    fars: Sequence[float] | None = None,
    **options: Any,
) -> EvaluationResult:
    """Compare all unordered pairs of images.

    Parameters
    ----------
    features : array_like, shape (n, D)
        Any length; a zero vector is a failure, its same pairs count as not matched.
    people : array_like, shape (n,)
        Who each image shows.
    fars : sequence of float, optional
        Default: those of 1e-6 to 1e-1 that allow at least one of the different pairs.
    **options
        draws, product, dtype and progress, as for `all_pairs.compare_all`.

    Returns
    -------
    EvaluationResult
    """
    labels = np.asarray(people)
    features = check_matrix(features, "features", len(labels))
    if fars is None:
        number = np.unique(labels, return_counts=True)[1].astype(float)
        different = (len(labels) ** 2 - (number**2).sum()) / 2
        fars = [far for far in DEFAULT_FARS if far * different >= 1] or DEFAULT_FARS[-1:]
    result, _ = compare_all(features, labels, fars=fars, **options)
    return dataclasses.replace(result, protocol="own folders", settings={"pairs": "all, unordered"})


def evaluate_listed(
    features: npt.ArrayLike,
    names: Sequence[str],
    pairs: tuple[list[str], list[str], np.ndarray],
    folds: int | npt.ArrayLike = 10,
    **kwargs: Any,
) -> VerificationResult:
    """Evaluate listed pairs as packs are: accuracy by folds, TAR at FAR.

    Parameters
    ----------
    features : array_like, shape (n, D)
    names : sequence of str
        Of the images.
    pairs : tuple of (a, b, same)
        As `read_pairs` returns them.
    folds : int or array_like of int, default 10
        Or the fold of each pair, as `folds_by_people` returns it.
    **kwargs
        As for `verification.evaluate`.

    Returns
    -------
    VerificationResult
    """
    place = {name: row for row, name in enumerate(names)}
    rows = [np.array([place[name] for name in side]) for side in pairs[:2]]
    matrix = np.asarray(features)
    return verification.evaluate(matrix[rows[0]], matrix[rows[1]], pairs[2], folds, **kwargs)


def folds_by_people(
    pairs: tuple[list[str], list[str], np.ndarray], people: dict[str, str], folds: int = 10
) -> tuple[int | np.ndarray, str]:
    """Return folds of listed pairs that share no person, for `evaluate_listed`.

    Parameters
    ----------
    pairs : tuple of (a, b, same)
        As `read_pairs` returns them.
    people : dict of str to str
        Who is on each image.
    folds : int, default 10

    Returns
    -------
    folds : numpy.ndarray of int, or int
        The fold of each pair; the number, if there are no such folds.
    reason : str
        Why; empty otherwise.
    """
    a, b, _ = pairs
    fold, reason = people_folds([people[n] for n in a], [people[n] for n in b], folds)
    return (folds if fold is None else fold), reason


def read_pairs(
    path: str | os.PathLike[str], names: Sequence[str]
) -> tuple[list[str], list[str], np.ndarray]:
    """Read a list of pairs: two images and 1 (same) or 0 a line.

    Parameters
    ----------
    path : str or pathlib.Path
    names : sequence of str
        The images that there are.

    Returns
    -------
    a, b : list of str
    same : numpy.ndarray of bool

    Raises
    ------
    DataError
        A malformed line, or an image that is not there; the line is named.
    """
    known = set(names)
    a, b, same = [], [], []
    for number, line, fields in read_fields(path, "a list of image, image, 1 or 0"):
        if len(fields) != 3 or fields[2] not in ("0", "1"):
            raise DataError(f"{path}, line {number}: {line[:80]!r}; expected image, image, 1 or 0")
        for name in fields[:2]:
            if name not in known:
                raise DataError(f"{path}, line {number}: there is no image {name}")
        a.append(fields[0])
        b.append(fields[1])
        same.append(fields[2] == "1")
    if not same:
        raise DataError(f"{path} lists no pairs")
    return a, b, np.array(same)
