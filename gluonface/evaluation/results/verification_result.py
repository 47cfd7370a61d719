"""What an evaluation returns: named fields, tables and JSON."""

import dataclasses
import importlib.metadata
import platform
from typing import Optional

import numpy as np

from .. import metrics

__all__ = [
    "CONVENTION",
    "Call",
    "VerificationResult",
    "document",
    "lay_out",
    "table",
    "versions",
]

# Written into every JSON file: what its numbers are.
CONVENTION = {
    "accuracy": "mean over contiguous folds of the accuracy at the threshold that is best on the "
    "other folds; std is the population standard deviation (ddof 0)",
    "distance": "squared Euclidean distance of unit vectors, 0..4; accepted below the threshold",
    "score": "cosine of the two embeddings = 1 - distance / 2",
    "tar": "strict: the threshold is the highest at which no more than FAR x different pairs are "
    "accepted; accepted above it",
    "tar_reference": "the ROC point nearest to the FAR, which may lie above it; as published IJB "
    "tables have it",
    "val": "share of accepted same pairs at an interpolated threshold aimed at far_target on the "
    "other folds; far is what was realised, so read both",
    "flip": "none: e; sum: e + f; concat: [e, f]; normsum: e/|e| + f/|f|; e and f are the outputs "
    "of the image and its mirror; then normalised once",
}


@dataclasses.dataclass(frozen=True)
class Call:
    """The decision on one pair.

    Attributes
    ----------
    index : int
        The pair's place in the pack.
    same : bool
        The truth.
    accepted : bool
        What the threshold of the pair's fold says.
    score, threshold : float
        Cosines. The threshold is 1 - distance threshold / 2.
    """

    index: int
    same: bool
    accepted: bool
    score: float
    threshold: float

    @property
    def error(self):
        """Whether the decision is wrong."""
        return self.same != self.accepted

    @property
    def kind(self):
        """Which of the four: false or true, accept or reject."""
        return f"{'false' if self.error else 'true'} {'accept' if self.accepted else 'reject'}"


@dataclasses.dataclass(frozen=True, eq=False)
class VerificationResult:
    """The result of pair verification of one pack with one flip form.

    A figure that does not exist for this pack (a ROC needs same and different pairs) is None, and
    `notes` says why.

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
    operating_points : tuple of metrics.OperatingPoint
        Both conventions with realised FAR, score threshold and counts.
    auc, eer : float or None
    n_same, n_different, folds, embedding_size : int
    collapsed : bool
        All embeddings are the same: the model tells nobody apart.
    model, pack, pack_sha256, flip : str or None
        What was evaluated.
    inputs : dict of str to str
        SHA-256 of other files that were read, by their names.
    xnorm : float or None
        Mean length of all un-normalised outputs, mirrored ones included.
    notes : tuple of str
        What a reader has to know about these figures.
    distance, score, issame : numpy.ndarray, shape (n,)
        Of each pair. Not part of `to_dict`.
    """

    accuracy: float
    accuracy_std: float
    fold_accuracies: tuple
    thresholds: tuple
    val: Optional[float]
    val_std: Optional[float]
    far: Optional[float]
    far_target: float
    tar: Optional[dict]
    tar_reference: Optional[dict]
    operating_points: tuple
    auc: Optional[float]
    eer: Optional[float]
    n_same: int
    n_different: int
    folds: int
    embedding_size: int
    collapsed: bool
    notes: tuple
    distance: np.ndarray = dataclasses.field(repr=False)
    score: np.ndarray = dataclasses.field(repr=False)
    issame: np.ndarray = dataclasses.field(repr=False)
    fold_edges: tuple = dataclasses.field(repr=False)
    model: Optional[str] = None
    pack: Optional[str] = None
    pack_sha256: Optional[str] = None
    flip: Optional[str] = None
    xnorm: Optional[float] = None
    accuracy_low: Optional[float] = None
    accuracy_high: Optional[float] = None
    inputs: dict = dataclasses.field(default_factory=dict)

    @property
    def n_pairs(self):
        """Number of pairs."""
        return self.n_same + self.n_different

    @property
    def threshold(self):
        """Mean of the folds' thresholds, a squared distance."""
        return float(np.mean(self.thresholds))

    @property
    def cosine_threshold(self):
        """The same as a cosine."""
        return 1 - self.threshold / 2

    def to_dict(self):
        """Return all but the arrays, ready for JSON: no NaN, no infinity."""
        row = {
            "model": self.model,
            "pack": self.pack,
            "pack_sha256": self.pack_sha256,
            "inputs": dict(self.inputs),
            "flip": self.flip,
            "n_pairs": self.n_pairs,
            "n_same": self.n_same,
            "n_different": self.n_different,
            "folds": self.folds,
            "embedding_size": self.embedding_size,
            "accuracy": self.accuracy,
            "accuracy_std": self.accuracy_std,
            "accuracy_low": self.accuracy_low,
            "accuracy_high": self.accuracy_high,
            "fold_accuracies": list(self.fold_accuracies),
            "thresholds": list(self.thresholds),
            "threshold": self.threshold,
            "cosine_threshold": self.cosine_threshold,
            "val": self.val,
            "val_std": self.val_std,
            "far": self.far,
            "far_target": self.far_target,
            "auc": self.auc,
            "eer": self.eer,
        }
        for name in ("tar", "tar_reference"):
            rates = getattr(self, name)
            row[name] = rates and {f"{far:g}": rate for far, rate in rates.items()}
        row["operating_points"] = [p.to_dict() for p in self.operating_points]
        row.update(xnorm=self.xnorm, collapsed=self.collapsed, notes=list(self.notes))
        return row

    def calls(self):
        """Return the `Call` on every pair, in order, at the threshold of its own fold."""
        sizes = np.diff(self.fold_edges)
        thresholds = np.repeat(self.thresholds, sizes)
        accepted = self.distance < thresholds
        return [
            Call(i, bool(same), bool(yes), 1 - float(distance) / 2, 1 - float(threshold) / 2)
            for i, (same, yes, distance, threshold) in enumerate(
                zip(self.issame, accepted, self.distance, thresholds)
            )
        ]

    def hardest(self, limit=10):
        """Return up to `limit` wrong calls (`Call`), furthest beyond their threshold first.

        Without any error, the `limit` right calls nearest to their threshold.
        """
        calls = self.calls()
        wrong = [call for call in calls if call.error]
        if wrong:
            return sorted(wrong, key=lambda call: -abs(call.score - call.threshold))[:limit]
        return sorted(calls, key=lambda call: abs(call.score - call.threshold))[:limit]

    def roc(self):
        """Return the `metrics.RocCurve`; InputError for a pack with one kind of pairs only."""
        return metrics.roc_curve(self.score, self.issame)

    def table(self):
        """Return the one-row table of this result."""
        return table([self])

    def plot_roc(self, path):
        """Draw the ROC over a logarithmic FAR axis and save it as `path` (.png, .svg or .pdf)."""
        from ..report import plots

        plots.roc([self], path)


def table(results):
    """Lay results out as aligned text, one row per result.

    Parameters
    ----------
    results : sequence of VerificationResult

    Returns
    -------
    str
        Lines without a trailing newline. "-" stands for a figure that does not exist.
    """
    rows = [columns(results)] + [cells(result, results) for result in results]
    return lay_out(rows, words=rows[0].index("flip") + 1)


def lay_out(rows, words=1):
    """Align `rows` of text, the first `words` columns to the left and the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if place < words else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths))
        ).rstrip()
        for row in rows
    )


def columns(results):
    """Return the headings of the table of `results`."""
    far = results[0].far_target if results else 1e-3
    return [
        *(["model"] if _compares_models(results) else []),
        "pack",
        "flip",
        "pairs",
        "accuracy",
        *(["95 % interval"] if _with_intervals(results) else []),
        f"val@{far:g}",
        "(far)",
        *(f"TAR@{far:g}" for far in _fars(results)),
        "AUC",
        "EER",
        "threshold",
    ]


def cells(result, results):
    """Return the row of `result` in the table of `results`, as text."""
    return [
        *([result.model or "-"] if _compares_models(results) else []),
        result.pack or "-",
        result.flip or "-",
        str(result.n_pairs),
        f"{result.accuracy:.4f} ± {result.accuracy_std:.4f}",
        *([_span(result.accuracy_low, result.accuracy_high)] if _with_intervals(results) else []),
        _number(result.val),
        "-" if result.far is None else f"({result.far:.4f})",
        *(_rate(result, far) for far in _fars(results)),
        _number(result.auc),
        _number(result.eer),
        f"{result.threshold:.3f}",
    ]


def document(results, model=None):
    """Return everything about an evaluation as one JSON-ready dictionary.

    Parameters
    ----------
    results : sequence of VerificationResult
    model : dict or list of dict, optional
        The facts of the model card: name, preprocessing, ... A list for several models.

    Returns
    -------
    dict
        ``convention``, ``model``, ``results`` and ``versions``.
    """
    return {
        "protocol": "pair verification",
        "convention": CONVENTION,
        "model": model,
        "results": [result.to_dict() for result in results],
        "versions": versions(),
    }


def _compares_models(results):
    return len({result.model for result in results}) > 1


def versions():
    """Return the versions of what takes part, by name."""
    found = {"python": platform.python_version()}
    for name in ("gluonface", "numpy", "mxnet", "mxnet-cu112", "onnxruntime"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _fars(results):
    return sorted({far for result in results for far in result.tar or {}}, reverse=True)


def _with_intervals(results):
    return any(result.accuracy_low is not None for result in results)


def _rate(result, far):
    """Return the strict TAR at a FAR, with its interval where there is one."""
    for point in result.operating_points:
        if point.convention == "strict" and point.target == far:
            span = "" if point.low is None else f" ({_span(point.low, point.high)})"
            return f"{point.tar:.4f}{span}"
    return "-"


def _span(low, high):
    return "-" if low is None else f"{low:.4f}-{high:.4f}"


def _number(value):
    return "-" if value is None else f"{value:.4f}"
