"""Metrics of face verification by folds: choose a threshold on all folds but one, judge that one.

Pure NumPy. All take a *distance*, small for the same person; a pair is accepted below a threshold.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from ...data.pair_folds import check_folds, stretches
from ...errors import InputError
from .operating_points import check_rate
from .rates import check_pairs

__all__ = [
    "ACCURACY_THRESHOLDS",
    "VAL_THRESHOLDS",
    "KFoldAccuracy",
    "ValAtFar",
    "fold_of_pairs",
    "join_people",
    "kfold_accuracy",
    "people_folds",
    "val_at_far",
]

# Squared Euclidean distances of unit vectors lie in 0..4. These two grids are those of the LFW
# protocol as InsightFace runs it; start + i * step in float64, which is what arange computes.
ACCURACY_THRESHOLDS = np.arange(0, 4, 0.01)
VAL_THRESHOLDS = np.arange(0, 4, 0.001)


@dataclasses.dataclass(frozen=True)
class KFoldAccuracy:
    """Accuracy of held-out folds at thresholds chosen on the others.

    Attributes
    ----------
    accuracy, std : float
        Mean and population standard deviation (ddof 0) over the folds.
    accuracies, thresholds : numpy.ndarray, shape (folds,), float64
        Accuracy of each fold and the distance below which it accepted.
    tpr, fpr : numpy.ndarray, shape (T,), float64, or None
        Share of accepted same and different pairs at each threshold of the grid, averaged over
        the folds. None when a fold lacks same pairs (tpr) or different pairs (fpr).
    """

    accuracy: float
    std: float
    accuracies: np.ndarray
    thresholds: np.ndarray
    tpr: np.ndarray | None
    fpr: np.ndarray | None


@dataclasses.dataclass(frozen=True)
class ValAtFar:
    """Validation rate of held-out folds at a false-accept rate aimed at on the others.

    Attributes
    ----------
    val, std : float
        Mean and population standard deviation over the folds of the share of accepted same pairs.
    far : float
        Mean over the folds of the share of accepted different pairs. Compare it with `target`.
    target : float
        The false-accept rate aimed at, a fraction.
    thresholds : numpy.ndarray, shape (folds,), float64
        Distance below which each fold accepted.
    """

    val: float
    std: float
    far: float
    target: float
    thresholds: np.ndarray


def fold_of_pairs(issame: npt.ArrayLike, folds: int | npt.ArrayLike = 10) -> np.ndarray:
    """Return the fold of each pair, from 0.

    Parameters
    ----------
    issame : array_like of bool, shape (n,)
    folds : int, or array_like of int, shape (n,)
        So many folds: contiguous, the first ``n % folds`` with one pair more. Or the fold of each
        pair, as any numbers.

    Raises
    ------
    InputError
        Fewer pairs than folds, fewer than 2 folds, or an array of another length.
    """
    issame = np.asarray(issame, bool)
    if np.ndim(folds) == 0:
        check_folds(len(issame), folds)  # type: ignore[arg-type]
        return stretches(len(issame), int(folds))  # type: ignore[arg-type]
    values = np.asarray(folds)
    if values.shape != issame.shape or values.dtype.kind not in "iu":
        raise InputError(
            f"folds has shape {values.shape} and dtype {values.dtype}; a number of folds, or the "
            f"fold of each of the {len(issame)} pairs, was expected"
        )
    names, fold = np.unique(values, return_inverse=True)
    check_folds(len(fold), len(names))
    return fold


def kfold_accuracy(
    distance: npt.ArrayLike,
    issame: npt.ArrayLike,
    folds: int | npt.ArrayLike = 10,
    thresholds: npt.ArrayLike = ACCURACY_THRESHOLDS,
) -> KFoldAccuracy:
    """Accuracy of each fold at the threshold that is best on the other folds.

    A pair is accepted as the same person when its distance is below the threshold. The lowest
    threshold that reaches the best training accuracy is taken.

    Parameters
    ----------
    distance : array_like, shape (n,)
        Any distance; the default grid is for squared distances of unit vectors.
    issame : array_like of bool, shape (n,)
    folds : int or array_like of int, default 10
        As for `fold_of_pairs`.
    thresholds : array_like, shape (T,), ascending

    Returns
    -------
    KFoldAccuracy

    References
    ----------
    Huang et al., "Labeled Faces in the Wild", 2007; grid and strictness as InsightFace's program.
    """
    distance, issame = check_pairs(distance, issame, "distance")
    thresholds = np.asarray(thresholds, np.float64)
    fold = fold_of_pairs(issame, folds)
    accepts, totals = _count_accepts(distance, issame, fold, thresholds)
    # (folds, T): accepted same pairs plus rejected different ones
    correct = accepts[:, 1] + totals[:, :1] - accepts[:, 0]
    best = np.argmax(correct.sum(axis=0) - correct, axis=1)
    accuracies = correct[np.arange(len(best)), best] / totals.sum(axis=1)
    rates = [
        (accepts[:, side] / totals[:, side, None]).mean(axis=0) if totals[:, side].all() else None
        for side in (0, 1)
    ]
    return KFoldAccuracy(
        accuracy=float(accuracies.mean()),
        std=float(accuracies.std()),
        accuracies=accuracies,
        thresholds=thresholds[best],
        tpr=rates[1],
        fpr=rates[0],
    )


def val_at_far(
    distance: npt.ArrayLike,
    issame: npt.ArrayLike,
    target: float = 1e-3,
    folds: int | npt.ArrayLike = 10,
    thresholds: npt.ArrayLike = VAL_THRESHOLDS,
) -> ValAtFar:
    """Validation rate at a false-accept rate, by folds ("val@far" of the LFW programs).

    On the training folds the false-accept rate is a non-decreasing function of the threshold. At
    the last grid point where it does not exceed `target`, the threshold is interpolated linearly
    towards the next; the held-out fold is judged there.

    Parameters
    ----------
    distance, issame, folds, thresholds
        As for `kfold_accuracy`.
    target : float, default 1e-3
        False-accept rate as a fraction, 0..1.

    Returns
    -------
    ValAtFar

    Raises
    ------
    InputError
        A fold without same or without different pairs: the rates of that fold do not exist.
    """
    distance, issame = check_pairs(distance, issame, "distance")
    check_rate(target)
    thresholds = np.asarray(thresholds, np.float64)
    fold_of = fold_of_pairs(issame, folds)
    accepts, totals = _count_accepts(distance, issame, fold_of, thresholds)
    count = len(totals)
    if not totals.all():
        fold, side = np.argwhere(totals == 0)[0]
        raise InputError(
            f"fold {fold + 1} of {count} has no {('different', 'same')[side]} pair, so val@far "
            "does not exist. Order the pairs so that each fold holds both kinds, or use fewer folds"
        )
    false_accepts, different = accepts[:, 0], totals[:, 0]
    training = (false_accepts.sum(axis=0) - false_accepts) / (different.sum() - different)[:, None]
    chosen, val, far = np.zeros(count), np.empty(count), np.empty(count)
    for fold, curve in enumerate(training):
        if curve[-1] >= target:
            last = int(np.searchsorted(curve, target, side="right")) - 1
            chosen[fold] = thresholds[last]
            if last + 1 < len(thresholds):
                share = (target - curve[last]) / (curve[last + 1] - curve[last])
                chosen[fold] += share * (thresholds[last + 1] - thresholds[last])
        held_out = fold_of == fold
        accepted, same = distance[held_out] < chosen[fold], issame[held_out]
        val[fold] = np.count_nonzero(accepted & same) / totals[fold, 1]
        far[fold] = np.count_nonzero(accepted & ~same) / totals[fold, 0]
    return ValAtFar(float(val.mean()), float(val.std()), float(far.mean()), target, chosen)


def people_folds(
    a: npt.ArrayLike, b: npt.ArrayLike, folds: int = 10
) -> tuple[np.ndarray | None, str]:
    """Put pairs into folds so that no person is in two of them.

    People who are joined by any pair form a block. The blocks go, the one of most pairs first, into
    the fold that is emptiest.

    Parameters
    ----------
    a, b : array_like, shape (n,)
        Who is on the first and on the second image of each pair: names or numbers.
    folds : int, default 10

    Returns
    -------
    fold : numpy.ndarray, shape (n,), int64, or None
        None: there are no such folds.
    reason : str
        Why; empty otherwise.
    """
    a, b = np.asarray(a), np.asarray(b)
    check_folds(len(a), folds)
    people, place = np.unique(np.concatenate([a, b]), return_inverse=True)
    one, other = np.split(place.reshape(-1), 2)
    block = join_people(len(people), one, other)[one]
    _, first, place, sizes = np.unique(
        block, return_index=True, return_inverse=True, return_counts=True
    )
    largest = int(np.max(sizes))
    if largest * folds > len(a):
        return None, (
            f"people who are joined by pairs make a block of {largest:,} of the {len(a):,} "
            f"pairs, more than one of {folds} folds holds; the folds are those of the list, and "
            "the same people are in several of them"
        )
    if len(sizes) < folds:
        return None, (
            f"people who are joined by pairs make {len(sizes)} blocks, fewer than {folds} folds; "
            "use fewer folds"
        )
    filled, of_block = np.zeros(folds, np.int64), np.empty(len(sizes), np.int64)
    for number in np.lexsort((first, -sizes)).tolist():
        of_block[number] = np.argmin(filled)
        filled[of_block[number]] += sizes[number]
    return of_block[place.reshape(-1)], ""


def join_people(count: int, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return for each of `count` numbers the smallest one that pairs join it with.

    Parameters
    ----------
    count : int
    one, other : numpy.ndarray of int, shape (n,)
        The pairs.

    Returns
    -------
    numpy.ndarray, shape (count,), int64
    """
    parent = list(range(count))

    def root(number):
        while parent[number] != number:
            parent[number] = parent[parent[number]]
            number = parent[number]
        return number

    for left, right in zip(one.tolist(), other.tolist()):
        low, high = sorted((root(left), root(right)))
        parent[high] = low
    return np.array([root(number) for number in range(count)], np.int64)


def _count_accepts(distance, issame, fold, thresholds):
    """Count accepted pairs per fold, kind (0 different, 1 same) and threshold.

    One look-up per pair finds the first threshold that accepts it; a histogram of those, summed
    along the thresholds, holds all counts: O(n log T + folds * T) instead of O(n * folds * T).

    Returns
    -------
    accepts : numpy.ndarray, shape (folds, 2, T), int64
    totals : numpy.ndarray, shape (folds, 2), int64
    """
    folds, count = int(fold.max()) + 1, len(thresholds)
    cell = (2 * fold + issame) * (count + 1) + np.searchsorted(thresholds, distance, side="right")
    histogram = np.bincount(cell, minlength=2 * folds * (count + 1)).reshape(folds, 2, count + 1)
    sums = histogram.cumsum(axis=2)
    return sums[:, :, :-1], sums[:, :, -1]
