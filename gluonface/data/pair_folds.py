"""Folds of pairs: stretches of the list, or, where these are unfair, parts of either kind."""

from __future__ import annotations

import numpy as np

from ..errors import InputError

__all__ = ["check_folds", "fair_folds", "stretches"]


def check_folds(n: int, folds: int) -> None:
    """Raise InputError unless `n` pairs can be parted into `folds` folds."""
    if isinstance(folds, bool) or not isinstance(folds, (int, np.integer)) or folds < 2:
        raise InputError(f"folds is {folds!r}; it must be a whole number, 2 or more (LFW uses 10)")
    if n < folds:
        raise InputError(
            f"there are {n} pairs for {folds} folds; each fold needs at least one. Use fewer folds"
        )


def stretches(n: int, folds: int) -> np.ndarray:
    """Return the fold of each of `n` pairs when folds are contiguous.

    The first ``n % folds`` have one pair more.

    Returns
    -------
    numpy.ndarray, shape (n,), int64
    """
    sizes = np.full(folds, n // folds)
    sizes[: n % folds] += 1
    return np.repeat(np.arange(folds), sizes)


def fair_folds(
    issame: np.ndarray, folds: int, sorted_only: bool = False
) -> tuple[np.ndarray, bool]:
    """Part pairs into folds that hold both kinds.

    Folds are contiguous, as LFW's and those of the public packs are. Where one of them would lack
    a kind that there is, because the list is sorted by kind as CALFW's is, fold j is the j-th part
    of the same pairs and the j-th part of the different ones.

    Parameters
    ----------
    issame : numpy.ndarray of bool, shape (n,)
    folds : int
    sorted_only : bool, default False
        Part only pairs that come in a few long runs of one kind. A short list in random order,
        where a stretch lacks a kind by chance, keeps its stretches, which is what the published
        programs take.

    Returns
    -------
    fold : numpy.ndarray, shape (n,), int64
        0 to `folds` - 1.
    dealt : bool
        Whether the folds are parts of either kind.

    Raises
    ------
    InputError
        Fewer pairs than folds, or no number of folds.
    """
    issame = np.asarray(issame, bool)
    check_folds(len(issame), folds)
    fold = stretches(len(issame), folds)
    same = np.bincount(fold[issame], minlength=folds)
    different = np.bincount(fold[~issame], minlength=folds)
    if not same.any() or not different.any() or (same.all() and different.all()):
        return fold, False
    if sorted_only and np.count_nonzero(issame[1:] != issame[:-1]) + 1 >= 2 * folds:
        return fold, False
    counts = int(same.sum()), int(different.sum())
    parts = [stretches(count, folds) for count in counts]
    if min(counts) < folds:  # from the other end, so that no fold stays empty
        parts[1] = folds - 1 - parts[1]
    fold[issame], fold[~issame] = parts
    return fold, True
