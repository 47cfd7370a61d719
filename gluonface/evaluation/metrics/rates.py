"""Metrics of face verification on scores: pure NumPy, no state, named results.

A *score* is large for the same person. (The fold metrics in ``folds`` take a *distance*, which is
small; for unit vectors, squared distance = 2 - 2 * cosine score.)

Two conventions of TAR at FAR exist. "strict" is the highest share of accepted same pairs at a
threshold whose false-accept rate does not exceed the target, as NIST reports it. "reference" is
the ROC point nearest to the target, which may lie above it; published IJB tables use it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ...errors import InputError
from .operating_points import OperatingPoint, allowed_accepts, operating_points
from .roc import RocCurve, curve_area, curve_eer

__all__ = [
    "OperatingPoint",
    "RocCurve",
    "allowed_accepts",
    "area_under_curve",
    "equal_error_rate",
    "roc_curve",
    "tar_at_far",
]


def roc_curve(
    score: npt.ArrayLike, issame: npt.ArrayLike, drop_intermediate: bool = False
) -> RocCurve:
    """Trace the ROC of scores: accept from the highest score down, equal scores together.

    Parameters
    ----------
    score : array_like, shape (n,)
        Larger is more alike.
    issame : array_like of bool, shape (n,)
        Both kinds must occur.
    drop_intermediate : bool, default False
        Leave out the inner points of straight runs, as scikit-learn does by default. The
        "reference" TAR depends on it; areas do not.

    Returns
    -------
    RocCurve
    """
    score, issame = check_pairs(score, issame, "score")
    same, different = _both_kinds(issame)
    order = np.argsort(-score, kind="stable")
    score, issame = score[order], issame[order]
    ends = np.append(np.flatnonzero(np.diff(score)), len(score) - 1)  # last of each run of ties
    true_accepts = np.cumsum(issame)[ends]
    false_accepts = ends + 1 - true_accepts
    if drop_intermediate and len(ends) > 2:
        bend = (np.diff(false_accepts, 2) != 0) | (np.diff(true_accepts, 2) != 0)
        keep = np.concatenate([[True], bend, [True]])
        ends, true_accepts, false_accepts = ends[keep], true_accepts[keep], false_accepts[keep]
    true_accepts = np.concatenate([[0], true_accepts])
    false_accepts = np.concatenate([[0], false_accepts])
    return RocCurve(
        fpr=false_accepts / different,
        tpr=true_accepts / same,
        thresholds=np.concatenate([[np.inf], score[ends]]),
        false_accepts=false_accepts,
        true_accepts=true_accepts,
    )


def tar_at_far(
    score: npt.ArrayLike,
    issame: npt.ArrayLike,
    targets: Sequence[float],
    convention: str = "strict",
) -> list[OperatingPoint]:
    """True-accept rate at each false-accept rate of `targets`.

    Parameters
    ----------
    score, issame : array_like, shape (n,)
        As of `roc_curve`.
    targets : sequence of float
        False-accept rates as fractions, 0..1.
    convention : {"strict", "reference"}, default "strict"
        See the head of this module.

    Returns
    -------
    list of OperatingPoint
        In the order of `targets`.
    """
    score, issame = check_pairs(score, issame, "score")
    _both_kinds(issame)
    genuine, impostor = score[issame], score[~issame]
    return operating_points(genuine, np.sort(impostor)[::-1], len(impostor), targets, convention)


def area_under_curve(score: npt.ArrayLike, issame: npt.ArrayLike) -> float:
    """Area under the ROC: the chance that a same pair scores above a different one, ties half.

    Parameters
    ----------
    score, issame
        As for `roc_curve`.

    Returns
    -------
    float
        0..1; 0.5 for random scores.
    """
    return curve_area(roc_curve(score, issame))


def equal_error_rate(score: npt.ArrayLike, issame: npt.ArrayLike) -> float:
    """Error rate at which the false-accept rate equals the false-reject rate.

    The ROC is joined by straight lines, so that ties and small samples give one answer, 0..1; 0
    when the two kinds are separated. Parameters as for `roc_curve`.
    """
    return curve_eer(roc_curve(score, issame))


def check_pairs(
    values: npt.ArrayLike, issame: npt.ArrayLike, name: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return `values` as finite float64 (n,) and `issame` as bool (n,), or raise InputError."""
    values = np.asarray(values)
    if values.ndim != 1 or not len(values) or values.dtype.kind not in "fiu":
        raise InputError(
            f"{name} has shape {values.shape} and dtype {values.dtype}; "
            "expected one number per pair, shape (pairs,)"
        )
    values = values.astype(np.float64, copy=False)
    if not np.isfinite(values).all():
        raise InputError(f"{name} of pair {int(np.argmin(np.isfinite(values)))} is not finite")
    return values, check_issame(issame, len(values))


def check_issame(issame: npt.ArrayLike, pairs: int) -> np.ndarray:
    """Return `issame` as a bool array of shape (pairs,), or raise InputError."""
    array = np.asarray(issame)
    if array.shape != (pairs,):
        raise InputError(
            f"issame has shape {array.shape} for {pairs} pairs; "
            f"expected one True or False per pair, shape ({pairs},)"
        )
    if array.dtype.kind not in "biuf" or not ((array == 0) | (array == 1)).all():
        raise InputError("issame must hold True or False (or 1 and 0) only")
    return array.astype(bool)


def _both_kinds(issame):
    same = int(np.count_nonzero(issame))
    different = len(issame) - same
    if not same or not different:
        raise InputError(
            f"there are {same} same and {different} different pairs; "
            "a ROC, its area, EER and TAR at FAR need both kinds"
        )
    return same, different
