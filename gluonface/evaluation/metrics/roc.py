"""The receiver operating characteristic as counts: corners, area, equal error. Pure NumPy."""

from __future__ import annotations

import dataclasses

import numpy as np

__all__ = ["RocCurve", "curve_area", "curve_eer", "distinct_values", "roc_corners", "thinned"]


@dataclasses.dataclass(frozen=True)
class RocCurve:
    """Receiver operating characteristic: one point per distinct score, from (0, 0) to (1, 1).

    Attributes
    ----------
    fpr, tpr : numpy.ndarray, shape (m,), float64
        Shares of different and same pairs accepted.
    thresholds : numpy.ndarray, shape (m,), float64
        A pair is accepted when its score is at least this; infinite at the first point.
    false_accepts, true_accepts : numpy.ndarray, shape (m,), int64
        The same as counts.
    """

    fpr: np.ndarray
    tpr: np.ndarray
    thresholds: np.ndarray
    false_accepts: np.ndarray
    true_accepts: np.ndarray


def roc_corners(genuine: np.ndarray, impostor: np.ndarray, different: int) -> RocCurve:
    """Return the corners of the ROC; straight lines between them are the whole curve.

    They are far fewer than the points of `roc_curve` when different pairs are many. The area and
    the equal error rate are the same.

    Parameters
    ----------
    genuine, impostor, different
        As for `operating_points.operating_points`. When `impostor` holds the highest scores only,
        the curve ends there.

    Returns
    -------
    RocCurve
    """
    own, counts = distinct_values(np.sort(genuine)[::-1])
    if different > len(impostor):
        inside = own > impostor[-1] if len(impostor) else np.zeros(len(own), bool)
        own, counts = own[inside], counts[inside]
    rising = impostor[::-1]
    right = np.cumsum(counts)
    before = len(rising) - np.searchsorted(rising, own, side="right")
    at = len(rising) - np.searchsorted(rising, own, side="left")
    wrong = np.stack([before, at], axis=1).ravel()
    right = np.stack([right - counts, right], axis=1).ravel()
    # After a value's point come the different pairs below it, so its threshold ends both.
    last = [len(impostor)] if len(impostor) else []
    wrong = np.concatenate([[0], wrong, last]).astype(np.int64)
    right = np.concatenate([[0], right, [right[-1] if len(right) else 0] * len(last)])
    values = np.repeat(own, 2).astype(np.float64)
    above = np.concatenate([[np.inf], values[1:-1:2]])  # the lowest that is accepted before it
    if len(impostor):
        nearest = np.where(before > 0, impostor[np.maximum(before - 1, 0)], np.inf)
        above = np.minimum(above, nearest)
    values[0::2] = above[: len(own)]
    lowest = impostor[-1:].astype(np.float64)
    thresholds = np.concatenate([[np.inf], values, lowest])
    if len(own) and len(impostor):
        thresholds[-1] = min(thresholds[-1], thresholds[-2])
    return RocCurve(wrong / different, right / len(genuine), thresholds, wrong, right)


def curve_area(curve: RocCurve) -> float:
    """Return the trapezoidal area under a `RocCurve`, from its counts: no rounding until the end.

    Up to 3e9 pairs of each kind the sum stays within int64.
    """
    fp, tp = curve.false_accepts, curve.true_accepts
    doubled = int(np.sum(np.diff(fp) * (tp[1:] + tp[:-1])))
    return doubled / (2 * int(fp[-1]) * int(tp[-1]))


def curve_eer(curve: RocCurve) -> float:
    """Return the equal error rate on a `RocCurve`."""
    gap = 1 - curve.tpr - curve.fpr  # misses minus false accepts: falls from 1 to -1
    after = int(np.argmax(gap <= 0))
    share = gap[after - 1] / (gap[after - 1] - gap[after])
    return float(curve.fpr[after - 1] + share * (curve.fpr[after] - curve.fpr[after - 1]))


def thinned(curve: RocCurve, most: int = 600) -> RocCurve:
    """Return at most `most` points of a curve: all of the lowest, the others evenly in log FAR."""
    if len(curve.fpr) <= most:
        return curve
    height = np.log10(np.maximum(curve.false_accepts, 0.5))
    wanted = np.linspace(height[0], height[-1], most // 2)
    chosen = np.unique(
        np.concatenate(
            [
                np.searchsorted(height, wanted, side="left"),
                np.searchsorted(height, wanted, side="right") - 1,
                [0, len(height) - 1],
            ]
        ).clip(0, len(height) - 1)
    )
    return RocCurve(
        *(
            getattr(curve, name)[chosen]
            for name in ("fpr", "tpr", "thresholds", "false_accepts", "true_accepts")
        )
    )


def distinct_values(descending: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct values of a sorted array and how often each occurs."""
    if not len(descending):
        return descending, np.zeros(0, np.int64)
    edges = np.flatnonzero(descending[1:] != descending[:-1]) + 1
    edges = np.concatenate([[0], edges, [len(descending)]])
    return descending[edges[:-1]], np.diff(edges)
