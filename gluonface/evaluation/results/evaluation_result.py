"""The one type of result behind every protocol: named figures with their table and JSON.

It holds true-accept rates (`operating_points`), rank rates (`ranks`), identification with a
threshold (`searches`) and subsets (race groups, galleries) that are results themselves, so that
one report shows any protocol.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import platform
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from ..metrics.error_rates import ErrorRate
from ..metrics.operating_points import OperatingPoint
from ..metrics.roc import RocCurve
from ..metrics.search_rates import RankRate, SearchRate
from .tables import align_columns, error_table, number, operating_point_rows, rank_rows

__all__ = [
    "CONVENTION",
    "EvaluationResult",
    "ScoreHistogram",
    "WorstError",
    "document",
    "pair_errors",
    "score_histogram",
    "setting_text",
]

# Written into JSON files: what the numbers are.
CONVENTION = {
    "score": "cosine of the two embeddings = 1 - distance / 2",
    "tar": "strict: the threshold is the highest at which no more than FAR x different pairs are "
    "accepted; accepted above it",
    "tar_reference": "the ROC point nearest to the FAR, which may lie above it; as published IJB "
    "tables have it",
    "flip": "none: e; sum: e + f; concat: [e, f]; normsum: e/|e| + f/|f|; e and f are the outputs "
    "of the image and its mirror; then normalised once",
}
_ROUNDING = 1e-3


@dataclasses.dataclass(frozen=True)
class WorstError:
    """One of the worst errors: two entries, by their place and name, and their score.

    Of a search, `a` is the probe, `b` the wrong entry that comes first, and `mate` the right one.
    """

    kind: str
    a: int
    b: int
    score: float
    name_a: str | None = None
    name_b: str | None = None
    mate: int | None = None
    mate_score: float | None = None
    name_mate: str | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class ScoreHistogram:
    """Scores by class.

    Attributes
    ----------
    edges : numpy.ndarray, shape (bins + 1,)
    same, different : numpy.ndarray, shape (bins,)
        Counts.
    share : float
        Fraction of the different pairs that was counted: 1, or less for billions.
    """

    edges: np.ndarray
    same: np.ndarray
    different: np.ndarray
    share: float = 1.0


@dataclasses.dataclass(frozen=True, eq=False)
class EvaluationResult:
    """The result of one protocol on one set.

    Attributes
    ----------
    protocol : str
        Such as "IJB 1:1".
    name : str
        Which set, group or gallery.
    operating_points : tuple of OperatingPoint
        TAR at FAR, both conventions.
    ranks : tuple of RankRate
    searches : tuple of SearchRate
        TPIR at FPIR, both conventions.
    error_rates : tuple of ErrorRate
        The same as NIST states it; the table then has these alone.
    measures : dict of str to float
        Others: auc, eer, map, ...
    counts : dict of str to int
        Images, templates, pairs, ...
    settings : dict
        How it was done: pooling, ties, what was removed.
    subsets : tuple of EvaluationResult
        Groups or galleries; "parts" in JSON.
    inputs : dict of str to str
        SHA-256 of each input, by its name.
    model, flip, preprocessing : str or None
    notes : tuple of str
        What a reader has to know.
    roc_curve : RocCurve or None
        Of a search: TPIR over FPIR. Beyond some hundred points it is thinned; its lowest
        false-accept rates stay exact.
    cmc : numpy.ndarray, shape (m,), or None
        Share of the mated probes found within the first 1, 2, ... m ranks.
    histogram : ScoreHistogram or None
    worst_errors : tuple of WorstError
        The highest different and the lowest same pairs; "hardest" in JSON.
    """

    protocol: str
    name: str = ""
    operating_points: tuple[OperatingPoint, ...] = ()
    ranks: tuple[RankRate, ...] = ()
    searches: tuple[SearchRate, ...] = ()
    error_rates: tuple[ErrorRate, ...] = ()
    measures: dict[str, float | None] = dataclasses.field(default_factory=dict)
    counts: dict[str, int] = dataclasses.field(default_factory=dict)
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)
    subsets: tuple[EvaluationResult, ...] = ()
    inputs: dict[str, str] = dataclasses.field(default_factory=dict)
    model: str | None = None
    flip: str | None = None
    preprocessing: Any = None
    notes: tuple[str, ...] = ()
    roc_curve: RocCurve | None = dataclasses.field(default=None, repr=False)
    cmc: np.ndarray | None = dataclasses.field(default=None, repr=False)
    histogram: ScoreHistogram | None = dataclasses.field(default=None, repr=False)
    worst_errors: tuple[WorstError, ...] = dataclasses.field(default=(), repr=False)

    # What the figures mean, for `document`.
    CONVENTION: ClassVar[dict[str, str]] = {
        **CONVENTION,
        "rank": "a mate is at rank 1 when its score is above that of every other entry; ties "
        "count against it",
        "tpir": "strict: the threshold is the highest non-mated score that no more than "
        "FPIR x non-mated searches exceed; the mate must be first and above it. reference: "
        "the int(FPIR x searches) - 1 -th, as the public IJB script has it",
        "interval": "middle 95 % of bootstrap draws of people (IJB 1:1: of templates); too "
        "narrow where fewer than 20 false accepts are allowed (interval_too_narrow)",
    }

    @property
    def title(self) -> str:
        """The protocol and the name of the set."""
        return " ".join(filter(None, (self.protocol, self.name)))

    def tar_by_far(self, convention: str = "strict") -> dict[float, float]:
        """Return the TAR by FAR in a convention."""
        return {p.target: p.tar for p in self.operating_points if p.convention == convention}

    def rate_by_rank(self) -> dict[int, float]:
        """Return the rate by rank."""
        return {r.rank: r.rate for r in self.ranks}

    def tpir_by_fpir(self, convention: str = "strict") -> dict[float, float]:
        """Return the TPIR by FPIR in a convention."""
        return {s.target: s.tpir for s in self.searches if s.convention == convention}

    def subset(self, name: str) -> EvaluationResult:
        """Return the subset of this name; KeyError if there is none."""
        return {subset.name: subset for subset in self.subsets}[name]

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the curves, ready for JSON: no NaN, no infinity."""
        return {
            "protocol": self.protocol,
            "name": self.name,
            "model": self.model,
            "flip": self.flip,
            "preprocessing": self.preprocessing,
            "inputs": dict(self.inputs),
            "settings": dict(self.settings),
            "counts": dict(self.counts),
            "measures": dict(self.measures),
            "operating_points": [p.to_dict() for p in self.operating_points],
            "ranks": [dataclasses.asdict(r) for r in self.ranks],
            "searches": [s.to_dict() for s in self.searches],
            "error_rates": [e.to_dict() for e in self.error_rates],
            "hardest": [dataclasses.asdict(error) for error in self.worst_errors],
            "notes": list(self.notes),
            "parts": [subset.to_dict() for subset in self.subsets],
        }

    def table(self) -> str:
        """Return the figures as aligned text."""
        facts = [f"{name} {value}" for name, value in self.counts.items()]
        facts += [f"{name} {setting_text(value)}" for name, value in self.settings.items()]
        facts += [f"flip {self.flip}"] if self.flip else []
        blocks = [f"{self.title}\n" + ", ".join(facts) if facts else self.title]
        if self.error_rates:
            blocks.append(error_table(self.error_rates))
        for rows in (
            () if self.error_rates else operating_point_rows(self.operating_points),
            rank_rows(self.ranks),
            () if self.error_rates else operating_point_rows(self.searches),
        ):
            if rows:
                blocks.append(align_columns(rows))
        if self.measures:
            figures = (f"{name} {number(value, 6)}" for name, value in self.measures.items())
            blocks.append("  ".join(figures))
        return "\n\n".join([*blocks, *(subset.table() for subset in self.subsets)])


def setting_text(value):
    """Return a setting as text: yes and no for truth values, "-" for None."""
    if value is None:
        return "-"
    return ("no", "yes")[value] if isinstance(value, bool) else value


def score_histogram(genuine, impostor, sample=None, share=1.0, bins=200):
    """Return the `ScoreHistogram` of scores; minus infinity, a failure, is left out.

    Parameters
    ----------
    genuine : numpy.ndarray, shape (n,)
    impostor : numpy.ndarray, shape (m,), descending
        Not needed with a `sample`.
    sample : topk.HistogramSample, optional
        Counts of a `share` of the different pairs, in the same bins.
    """
    own = genuine[np.isfinite(genuine)]
    if sample is not None:
        same = np.histogram(np.clip(own, -1, 1), sample.edges)[0]
        return ScoreHistogram(sample.edges, same, sample.counts, float(share))
    others = impostor
    if len(impostor) and not np.isfinite(impostor[-1]):
        others = impostor[: np.count_nonzero(impostor > -np.inf)]
    ends = [own.min(initial=np.inf), own.max(initial=-np.inf), *others[:1], *others[-1:]]
    ends = [float(end) for end in ends if np.isfinite(end)]
    low, high = min(ends, default=0.0), max(ends, default=0.0)
    if low > -1 - _ROUNDING and high < 1 + _ROUNDING:
        low, high = -1.0, 1.0  # cosines; scores of another kind have a range of their own
    edges = np.linspace(low, high, bins + 1)
    same = np.histogram(np.clip(own, low, high), edges)[0]
    inner = edges[1:-1].astype(impostor.dtype)
    above = len(others) - np.searchsorted(others[::-1], inner, side="left")
    above = np.concatenate([[len(others)], above, [0]])
    return ScoreHistogram(edges, same, above[:-1] - above[1:])


def pair_errors(different, same, limit=10):
    """Return the worst errors of pairs: the highest different ones, then the lowest same ones.

    Parameters
    ----------
    different, same : (scores, a, b)
        Arrays (n,): scores, and the entries on either side. `different` descends. Minus infinity,
        a failure, is no worst error.
    limit : int, default 10
        Of either kind.
    """
    order = np.argsort(same[0], kind="stable")[:limit]
    lowest = (np.asarray(column)[order] for column in same)
    highest = (column[:limit] for column in different)
    return tuple(
        WorstError(kind, int(a), int(b), float(score))
        for kind, columns in (("highest different", highest), ("lowest same", lowest))
        for score, a, b in zip(*columns)
        if kind == "highest different" or score > -np.inf
    )


def document(results: Sequence[EvaluationResult], model: Any = None) -> dict[str, Any]:
    """Return results of one kind and what their figures mean as one JSON-ready dictionary.

    Parameters
    ----------
    results : sequence of EvaluationResult
        At least one.
    model : dict or list of dict, optional
        The facts of the model card: name, preprocessing, ... A list for several models.

    Returns
    -------
    dict
        ``protocol``, ``convention``, ``model``, ``results`` and ``versions``.
    """
    return {
        "protocol": results[0].protocol,
        "convention": results[0].CONVENTION,
        "model": model,
        "results": [result.to_dict() for result in results],
        "versions": _versions(),
    }


def _versions():
    """Return the versions of the packages that a result depends on, by name."""
    found = {"python": platform.python_version()}
    for name in ("gluonface", "numpy", "mxnet", "mxnet-cu112", "onnxruntime"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
