"""The result of pair verification: an `EvaluationResult` with accuracy by folds."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from ...errors import InputError
from .. import metrics
from ..metrics.group_rates import GroupRates
from ..metrics.operating_points import OperatingPoint
from ..metrics.roc import RocCurve
from . import plots
from .evaluation_result import CONVENTION, EvaluationResult
from .tables import align_columns, interval, number

__all__ = ["Decision", "VerificationResult", "table", "table_rows"]


@dataclasses.dataclass(frozen=True)
class Decision:
    """The decision on one pair.

    Attributes
    ----------
    index : int
        The pair's place in the pack.
    same : bool
        The truth.
    accepted : bool
        Whether the distance is below the threshold of the pair's fold.
    score, threshold : float
        Cosines. The threshold is 1 - distance threshold / 2.
    """

    index: int
    same: bool
    accepted: bool
    score: float
    threshold: float

    @property
    def error(self) -> bool:
        """Whether the decision is wrong."""
        return self.same != self.accepted

    @property
    def kind(self) -> str:
        """Which of the four: false or true, accept or reject."""
        return f"{'false' if self.error else 'true'} {'accept' if self.accepted else 'reject'}"


@dataclasses.dataclass(frozen=True, eq=False)
class VerificationResult(EvaluationResult):
    """The result of pair verification of one pack with one flip form.

    A figure that does not exist for this pack (a ROC needs same and different pairs) is None, and
    `notes` says why. To the attributes of `EvaluationResult`, of which `name` is the pack's, it
    adds:

    Attributes
    ----------
    accuracy, accuracy_std : float
        Mean and population standard deviation over the folds.
    accuracy_low, accuracy_high : float or None
        Bootstrap confidence interval of the accuracy, where one was asked for.
    fold_accuracies, thresholds : tuple of float
        Of each held-out fold: its accuracy, and the squared distance below which it accepted.
    val, val_std, far : float or None
        Validation rate, its deviation and the realised false-accept rate, aimed at `far_target`.
    tar : dict of float to float, or None
        Strict true-accept rate by false-accept rate.
    tar_reference : dict of float to float, or None
        The same by the convention of published IJB tables.
    auc, eer : float or None
    n_same, n_different, folds, embedding_size : int
    collapsed : bool
        All embeddings are the same, or nearly (nine of ten pairs of different people have a squared
        distance below 0.1): the model tells nobody apart.
    pack_sha256 : str or None
    xnorm : float or None
        Mean length of all un-normalised outputs, mirrored ones included.
    distance, score, issame : numpy.ndarray, shape (n,)
        Of each pair. Not in `to_dict`.
    fold : numpy.ndarray of int, shape (n,)
        The fold of each pair. Not in `to_dict`.
    groups : GroupRates or None
        Error rates by group, where there are groups.
    """

    accuracy: float = 0.0
    accuracy_std: float = 0.0
    accuracy_low: float | None = None
    accuracy_high: float | None = None
    fold_accuracies: tuple[float, ...] = ()
    thresholds: tuple[float, ...] = ()
    val: float | None = None
    val_std: float | None = None
    far: float | None = None
    far_target: float = 1e-3
    folds: int = 10
    embedding_size: int = 0
    collapsed: bool = False
    pack_sha256: str | None = None
    xnorm: float | None = None
    distance: np.ndarray = dataclasses.field(default_factory=lambda: np.empty(0), repr=False)
    score: np.ndarray = dataclasses.field(default_factory=lambda: np.empty(0), repr=False)
    issame: np.ndarray = dataclasses.field(default_factory=lambda: np.empty(0, bool), repr=False)
    fold: np.ndarray = dataclasses.field(default_factory=lambda: np.empty(0, int), repr=False)
    groups: GroupRates | None = None

    CONVENTION: ClassVar[dict[str, str]] = {
        "accuracy": "mean over the folds of the accuracy at the threshold that is best on the "
        "other folds; std is the population standard deviation (ddof 0). Pairs without folds of "
        "their own have contiguous ones or, where one would lack a kind, parts of either kind",
        "distance": "squared Euclidean distance of unit vectors, 0..4; accepted below the "
        "threshold",
        "threshold": "threshold and thresholds are squared distances, as the reference has them; "
        "cosine_threshold and cosine_thresholds are the same as cosines, and so are the thresholds "
        "of operating_points",
        **{name: CONVENTION[name] for name in ("score", "tar", "tar_reference")},
        "val": "share of accepted same pairs at an interpolated threshold aimed at far_target on "
        "the other folds; far is what was realised, so read both",
        "flip": CONVENTION["flip"],
        "groups": "one threshold for all groups: the highest at which no more than FMR x all "
        "different pairs are accepted (accepted above it); fmr and fnmr are the group's shares of "
        "different pairs accepted and of same pairs not accepted there, with 95 % Wilson intervals "
        "of independent pairs, which are too narrow where pairs share people; fold_accuracy is the "
        "share called right at the folds' thresholds",
    }

    @property
    def pack(self) -> str | None:
        """The name of the pack."""
        return self.name or None

    @property
    def auc(self) -> float | None:
        """Area under the ROC."""
        return self.measures.get("auc")

    @property
    def eer(self) -> float | None:
        """Equal error rate."""
        return self.measures.get("eer")

    @property
    def tar(self) -> dict[float, float] | None:
        """Strict TAR by FAR; None without rates."""
        return self.tar_by_far() or None

    @property
    def tar_reference(self) -> dict[float, float] | None:
        """TAR by FAR in the "reference" convention; None without rates."""
        return self.tar_by_far("reference") or None

    @property
    def n_same(self) -> int:
        """Number of same pairs."""
        return self.counts["same"]

    @property
    def n_different(self) -> int:
        """Number of different pairs."""
        return self.counts["different"]

    @property
    def n_pairs(self) -> int:
        """Number of pairs."""
        return self.n_same + self.n_different

    @property
    def threshold(self) -> float:
        """Mean of the folds' thresholds, a squared distance."""
        return float(np.mean(self.thresholds))

    @property
    def cosine_threshold(self) -> float:
        """The same as a cosine."""
        return 1 - self.threshold / 2

    @property
    def cosine_thresholds(self) -> tuple[float, ...]:
        """The folds' thresholds as cosines."""
        return tuple(1 - threshold / 2 for threshold in self.thresholds)

    def to_dict(self) -> dict[str, Any]:
        """Return all but the arrays, ready for JSON: no NaN, no infinity."""
        names = (
            *("model", "pack", "pack_sha256", "inputs", "flip", "n_pairs", "n_same"),
            *("n_different", "folds", "embedding_size", "accuracy", "accuracy_std"),
            *("accuracy_low", "accuracy_high", "fold_accuracies", "thresholds", "threshold"),
            *("cosine_threshold", "cosine_thresholds", "val", "val_std", "far", "far_target"),
            *("auc", "eer"),
        )
        fields = {name: getattr(self, name) for name in names}
        for name in ("fold_accuracies", "thresholds", "cosine_thresholds"):
            fields[name] = list(fields[name])
        for name in ("tar", "tar_reference"):
            rates = getattr(self, name)
            fields[name] = rates and {f"{far:g}": rate for far, rate in rates.items()}
        fields["operating_points"] = [p.to_dict() for p in self.operating_points]
        fields.update(xnorm=self.xnorm, collapsed=self.collapsed, notes=list(self.notes))
        if self.groups is not None:
            fields["groups"] = self.groups.to_dict()
        return fields

    def calls(self) -> list[Decision]:
        """Return the `Decision` on every pair, in order, at the threshold of its own fold."""
        thresholds = np.asarray(self.thresholds)[self.fold]
        accepted = self.distance < thresholds
        return [
            Decision(i, bool(same), bool(yes), 1 - float(distance) / 2, 1 - float(threshold) / 2)
            for i, (same, yes, distance, threshold) in enumerate(
                zip(self.issame, accepted, self.distance, thresholds)
            )
        ]

    def hardest(self, limit: int = 10) -> list[Decision]:
        """Return up to `limit` wrong decisions, furthest beyond their threshold first.

        Without any error, the `limit` right ones nearest to their threshold.
        """
        calls = self.calls()
        wrong = [call for call in calls if call.error]
        if wrong:
            return sorted(wrong, key=lambda call: -abs(call.score - call.threshold))[:limit]
        return sorted(calls, key=lambda call: abs(call.score - call.threshold))[:limit]

    def roc(self) -> RocCurve:
        """Return the whole ROC; InputError for a pack with one kind of pairs only."""
        return metrics.roc_curve(self.score, self.issame)

    def table(self) -> str:
        """Return the one-row table of this result."""
        return table([self])

    def plot_roc(self, path: str | os.PathLike[str]) -> None:
        """Draw the ROC over a logarithmic FAR axis and save it as `path` (.png, .svg or .pdf).

        Raises
        ------
        InputError
            The pack has one kind of pairs only, or `path` ends in another suffix.
        """
        if self.roc_curve is None:
            raise InputError("no ROC to draw: it needs same and different pairs")
        plots.save(plots.roc([plots.rate_curve(self.label, self)], title="ROC"), path)

    @property
    def label(self) -> str:
        """What the result is called in the legend of a plot."""
        name = (self.flip and f"flip {self.flip}") or self.name or "result"
        return name if self.auc is None else f"{name}  AUC {self.auc:.4f}  EER {self.eer:.4f}"


def table(results: Sequence[VerificationResult]) -> str:
    """Return results as aligned text, one row for each.

    Parameters
    ----------
    results : sequence of VerificationResult

    Returns
    -------
    str
        Lines without a trailing newline. "-" stands for a figure that does not exist.
    """
    rows = table_rows(results)
    return align_columns(rows, words=rows[0].index("flip") + 1)


def table_rows(results: Sequence[VerificationResult]) -> list[list[str]]:
    """Return the table of `results` as rows of text, the headings first."""
    models = len({result.model for result in results}) > 1
    intervals = any(result.accuracy_low is not None for result in results)
    fars = sorted({far for result in results for far in result.tar or {}}, reverse=True)
    head = [*(["model"] if models else []), "pack", "flip", "pairs", "accuracy"]
    head += [*(["95 % interval"] if intervals else []), f"val@{results[0].far_target:g}", "(far)"]
    head += [*(f"TAR@{far:g}" for far in fars), "AUC", "EER"]
    rows = [[*head, "threshold (cosine)", "as squared distance"]]
    for result in results:
        points = {p.target: p for p in result.operating_points if p.convention == "strict"}
        row = [result.model or "-"] if models else []
        row += [result.pack or "-", result.flip or "-", str(result.n_pairs)]
        collapsed = " (collapsed)" if result.collapsed else ""
        row.append(f"{result.accuracy:.4f} ± {result.accuracy_std:.4f}{collapsed}")
        row += [interval(result.accuracy_low, result.accuracy_high)] if intervals else []
        row += [number(result.val), "-" if result.far is None else f"({result.far:.4f})"]
        row += [_rate(points.get(far)) for far in fars]
        row += [number(result.auc), number(result.eer)]
        rows.append([*row, f"{result.cosine_threshold:.3f}", f"{result.threshold:.3f}"])
    return rows


def _rate(point: OperatingPoint | None) -> str:
    """Return a strict TAR as text, with its interval where there is one."""
    if point is None:
        return "-"
    ends = "" if point.low is None else f" ({interval(point.low, point.high)})"
    return f"{point.tar:.4f}{ends}"
