"""What every protocol but pair verification returns: named figures, a table, JSON.

One class serves them all, so that a report can show any of them: true-accept rates (`points`),
rank rates (`ranks`), identification with a threshold (`searches`), and parts (race groups,
galleries) that are results themselves.
"""

import dataclasses
from typing import Optional

import numpy as np

from ..metrics.error_rates import error_table
from .verification_result import lay_out, versions

__all__ = [
    "Hard",
    "Histogram",
    "Outcome",
    "RankRate",
    "count_scores",
    "outcome_document",
]


_ROUNDING = 1e-3


@dataclasses.dataclass(frozen=True)
class RankRate:
    """Share of probes whose mate is among the `rank` best.

    Attributes
    ----------
    rank : int
        From 1.
    rate : float
    hits, probes : int
        What it is the ratio of.
    low, high : float or None
        Bootstrap confidence interval.
    """

    rank: int
    rate: float
    hits: int
    probes: int
    low: Optional[float] = None
    high: Optional[float] = None


@dataclasses.dataclass(frozen=True)
class Hard:
    """One of the worst errors: two entries, by their place and name, and their score.

    Of a search, `a` is the probe, `b` the wrong entry that comes first, and `mate` the right one.
    """

    kind: str
    a: int
    b: int
    score: float
    name_a: Optional[str] = None
    name_b: Optional[str] = None
    mate: Optional[int] = None
    mate_score: Optional[float] = None
    name_mate: Optional[str] = None


@dataclasses.dataclass(frozen=True, eq=False)
class Histogram:
    """Scores by class. `edges` (bins + 1,), `same` and `different` (bins,) counts.

    `share` is the part of the different pairs that was counted: 1, or less for billions.
    """

    edges: object
    same: object
    different: object
    share: float = 1.0


@dataclasses.dataclass(frozen=True, eq=False)
class Outcome:
    """The result of one protocol on one set.

    Attributes
    ----------
    protocol : str
        Such as "IJB 1:1".
    name : str
        Which set, group or gallery.
    points : tuple of operating.OperatingPoint
        TAR at FAR, both conventions.
    ranks : tuple of RankRate
    searches : tuple of operating.SearchRate
        TPIR at FPIR, both conventions.
    errors : tuple of nist.ErrorRate
        The same as NIST states it; the table then has these alone.
    measures : dict of str to float
        Others: auc, eer, map, ...
    counts : dict of str to int
        Images, templates, pairs, ...
    settings : dict
        How it was done: pooling, ties, what was removed.
    parts : tuple of Outcome
    inputs : dict of str to str
        SHA-256 of each input, by its name.
    model, flip, preprocessing : str or None
    notes : tuple of str
        What a reader has to know.
    roc : roc.RocCurve or None
        Thinned to some hundred points; its lowest false-accept rates are exact. Of a search: TPIR
        over FPIR.
    cmc : numpy.ndarray, shape (m,), or None
        Share of the mated probes found within the first 1, 2, ... m ranks.
    histogram : Histogram or None
    hardest : tuple of Hard
        The highest different and the lowest same pairs.
    """

    protocol: str
    name: str = ""
    points: tuple = ()
    ranks: tuple = ()
    searches: tuple = ()
    errors: tuple = ()
    measures: dict = dataclasses.field(default_factory=dict)
    counts: dict = dataclasses.field(default_factory=dict)
    settings: dict = dataclasses.field(default_factory=dict)
    parts: tuple = ()
    inputs: dict = dataclasses.field(default_factory=dict)
    model: Optional[str] = None
    flip: Optional[str] = None
    preprocessing: object = None
    notes: tuple = ()
    roc: object = dataclasses.field(default=None, repr=False)
    cmc: object = dataclasses.field(default=None, repr=False)
    histogram: Optional[Histogram] = dataclasses.field(default=None, repr=False)
    hardest: tuple = dataclasses.field(default=(), repr=False)

    def tar(self, convention="strict"):
        """Return the TAR by FAR in a convention."""
        return {p.target: p.tar for p in self.points if p.convention == convention}

    def rank(self):
        """Return the rate by rank."""
        return {r.rank: r.rate for r in self.ranks}

    def tpir(self, convention="strict"):
        """Return the TPIR by FPIR in a convention."""
        return {s.target: s.tpir for s in self.searches if s.convention == convention}

    def part(self, name):
        """Return the part of this name; KeyError if there is none."""
        return {part.name: part for part in self.parts}[name]

    def to_dict(self):
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
            "operating_points": [p.to_dict() for p in self.points],
            "ranks": [dataclasses.asdict(r) for r in self.ranks],
            "searches": [s.to_dict() for s in self.searches],
            "error_rates": [e.to_dict() for e in self.errors],
            "hardest": [dataclasses.asdict(h) for h in self.hardest],
            "notes": list(self.notes),
            "parts": [part.to_dict() for part in self.parts],
        }

    def table(self):
        """Return the figures as aligned text."""
        blocks = [self._heading()]
        if self.errors:
            blocks.append(error_table(self.errors))
        for rows in (
            () if self.errors else _point_rows(self.points),
            _rank_rows(self.ranks),
            () if self.errors else _point_rows(self.searches),
        ):
            if rows:
                blocks.append(lay_out(rows, words=1))
        if self.measures:
            line = (f"{name} {_number(value)}" for name, value in self.measures.items())
            blocks.append("  ".join(line))
        blocks += [part.table() for part in self.parts]
        return "\n\n".join(blocks)

    def _heading(self):
        title = " ".join(filter(None, (self.protocol, self.name)))
        facts = [f"{name} {value}" for name, value in self.counts.items()]
        facts += [f"{name} {_word(value)}" for name, value in self.settings.items()]
        if self.flip:
            facts.append(f"flip {self.flip}")
        return f"{title}\n" + ", ".join(facts) if facts else title


def count_scores(genuine, impostor, sample=None, share=1.0, bins=200):
    """Return the `Histogram` of scores; minus infinity, a failure, is left out.

    Parameters
    ----------
    genuine : numpy.ndarray, shape (n,)
    impostor : numpy.ndarray, shape (m,), descending
        Not needed with a `sample`.
    sample : tails.Sample, optional
        Counts of a `share` of the different pairs, in the same bins.
    """
    own = genuine[np.isfinite(genuine)]
    if sample is not None:
        same = np.histogram(np.clip(own, -1, 1), sample.edges)[0]
        return Histogram(sample.edges, same, sample.counts, float(share))
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
    return Histogram(edges, same, above[:-1] - above[1:])


def outcome_document(outcomes, model=None):
    """Return results and their conventions as one JSON-ready dictionary.

    Parameters
    ----------
    outcomes : sequence of Outcome
    model : dict, optional
        The facts of the model card.
    """
    from .verification_result import CONVENTION

    return {
        "protocol": outcomes[0].protocol if outcomes else None,
        "convention": {
            **{name: CONVENTION[name] for name in ("score", "tar", "tar_reference", "flip")},
            "rank": "a mate is at rank 1 when its score is above that of every other entry; ties "
            "count against it",
            "tpir": "strict: the threshold is the highest non-mated score that no more than "
            "FPIR x non-mated searches exceed; the mate must be first and above it. reference: "
            "the int(FPIR x searches) - 1 -th, as the public IJB script has it",
            "interval": "middle 95 % of bootstrap draws of people (IJB 1:1: of templates)",
        },
        "model": model,
        "results": [outcome.to_dict() for outcome in outcomes],
        "versions": versions(),
    }


def _point_rows(points):
    """Return the rows of operating points or of searches, the conventions side by side."""
    if not points:
        return []
    reference = {p.target: p for p in points if p.convention == "reference"}
    strict = [p for p in points if p.convention == "strict"]
    interval = any(p.low is not None for p in strict)
    tar, far = points[0].TAR, points[0].FAR
    head = [far, tar, *(["95 % interval"] if interval else []), f"realised {far}", "k", "of"]
    head += ["threshold", *([f"{tar} reference", f"its {far}"] if reference else [])]
    rows = [head]
    for p in strict:
        row = [f"{p.target:g}", f"{p.tar:.6f}", *([_interval(p)] if interval else [])]
        row += [f"{p.far:.3g}", str(p.false_accepts), str(p.allowed), f"{p.threshold:.4f}"]
        if p.target in reference:
            nearest = reference[p.target]
            row += [f"{nearest.tar:.6f}", f"{nearest.far:.3g}"]
        rows.append(row)
    return rows


def _rank_rows(ranks):
    if not ranks:
        return []
    interval = any(r.low is not None for r in ranks)
    rows = [["rank", "rate", *(["95 % interval"] if interval else []), "hits", "probes"]]
    for r in ranks:
        row = [str(r.rank), f"{r.rate:.6f}", *([_interval(r)] if interval else [])]
        rows.append([*row, str(r.hits), str(r.probes)])
    return rows


def _interval(figure):
    return "-" if figure.low is None else f"{figure.low:.4f}-{figure.high:.4f}"


def _number(value):
    return "-" if value is None else f"{value:.6f}" if isinstance(value, float) else str(value)


def _word(value):
    if value is None:
        return "-"
    return ("no", "yes")[value] if isinstance(value, bool) else value
