"""The blocks of a report's page as data: tables, facts, plots. `page.html` lays them out."""

import math

import numpy as np

from ..metrics.operating_points import FEW_ACCEPTS, strict_points
from ..results import plots
from ..results.tables import error_rate_rows, interval, rank_rows, rate_text

__all__ = [
    "convention_table",
    "error_rate_table",
    "facts",
    "group_table",
    "inputs_table",
    "plot_block",
    "rank_table",
    "table",
    "text",
]

_CONVENTIONS = {
    "TAR": (
        "strict: the FAR is not above the target",
        "reference: the ROC point nearest to the target",
    ),
    "TPIR": ("strict: the FPIR is not above the target", "reference: ijb_evals.py"),
}
_COUNTED = {
    "TAR": ("false accepts", "same", "different pairs"),
    "TPIR": ("false positives", "mated", "non-mated searches"),
}
# What rates are called on plots: of pairs or of a search, in papers or in NIST's reports, which
# draw no ROC.
_RATES = {"far": "False-accept rate (FAR)", "tar": "True-accept rate (TAR)"}
_TERMS = {
    ("TAR", False): {"roc": "ROC", "det": "DET", "frr": "False-reject rate (1 - TAR)", **_RATES},
    ("TAR", True): {
        "det": "DET: FNMR over FMR",
        "far": "False match rate (FMR)",
        "frr": "False non-match rate (FNMR)",
    },
    ("TPIR", False): {
        "roc": "TPIR over FPIR",
        "det": "FNIR over FPIR",
        "far": "FPIR",
        "tar": "TPIR",
        "frr": "FNIR",
    },
    ("TPIR", True): {"det": "DET: FNIR over FPIR", "far": "FPIR", "frr": "FNIR"},
}


def text(kind, words):
    """Return a paragraph: `kind` is "heading", "soft" or "note"."""
    return {"kind": kind, "text": words}


def facts(pairs):
    """Return a list of names and values; nested values are joined, empty ones are left out."""
    shown = []
    for name, value in pairs.items():
        if isinstance(value, dict):
            value = ", ".join(f"{key}: {one}" for key, one in value.items())
        if value not in (None, "", [], ()):
            shown.append((name, value))
    return {"kind": "facts", "facts": shown}


def table(rows, words=1, caption=None, groups=()):
    """Return a table that scrolls where the page is narrower than it.

    Parameters
    ----------
    rows : sequence of sequence of str
        The headings first.
    words : int, default 1
        How many of the first columns are text rather than numbers.
    caption : str, optional
    groups : sequence of (name, number of columns), optional
        Headings above the columns.
    """
    starts = np.cumsum([0, *(number for _, number in groups)]).tolist()
    begins = [start for start, (name, _) in zip(starts, groups) if name]
    fields = {"rows": rows, "words": words, "caption": caption, "groups": groups}
    return {"kind": "table", "begins": begins, **fields}


def convention_table(points, caption=None):
    """Return the table of operating points, or of searches, with the conventions side by side.

    Parameters
    ----------
    points : sequence of OperatingPoint
    caption : str, optional
    """
    one, targets = points[0], list(dict.fromkeys(p.target for p in points))
    accepts, same, different = _COUNTED[one.TAR]
    head, groups, rows = [one.FAR], [("", 1)], [[rate_text(t)] for t in targets]
    for convention, title in zip(("strict", "reference"), _CONVENTIONS[one.TAR]):
        found = {p.target: p for p in points if p.convention == convention}
        if not found:
            continue
        intervals = any(p.low is not None for p in found.values())
        strict = convention == "strict"
        names = [one.TAR, *(["95 % interval"] if intervals else []), f"realised {one.FAR}", accepts]
        names += [*(["allowed"] if strict else []), "threshold"]
        head += names
        groups.append((title, len(names)))
        for target, row in zip(targets, rows):
            p = found.get(target)
            if p is None:
                row += ["-"] * len(names)
                continue
            row.append(f"{p.tar:.6f}")
            row += [interval(p.low, p.high, " to ")] if intervals else []
            row += [rate_text(p.far), f"{p.false_accepts:,}"]
            row += [*([f"{p.allowed:,}"] if strict else []), _threshold(p.threshold)]
    caption = caption or f"{one.TAR} at {one.FAR}, by both conventions"
    caption += f" ({one.same:,} {same} and {one.different:,} {different})"
    if any(p.too_narrow for p in points):
        caption += f". Intervals are too narrow where fewer than {FEW_ACCEPTS} are allowed"
    return table([head, *rows], 1, caption, groups)


def rank_table(ranks):
    """Return the table of rank rates."""
    return table(rank_rows(ranks, " to ", ("found", "of"), ",d"), 1, "Rank rates")


def error_rate_table(errors):
    """Return the table of NIST's error rates."""
    rows = error_rate_rows(errors)
    return table(rows, 1 + ("group" in rows[0]), "Error rates as NIST states them")


def group_table(result):
    """Return the table of the subsets of a result, a line each, and of the whole."""
    targets = [p.target for p in strict_points(result.operating_points)]
    members = [name for name in ("images", "identities", "same", "different")
               if any(name in subset.counts for subset in result.subsets)]  # fmt: skip
    head, groups = ["group", *members], [("", 1 + len(members))]
    for target in targets:
        head += ["TAR", "threshold", "FMR", "FNMR"]
        groups += [(f"FAR {rate_text(target)}: own threshold", 2), ("threshold of ALL", 2)]
    rows = [head]
    for one in (result, *result.subsets):
        own = {p.target: p for p in strict_points(one.operating_points)}
        row = [one.name or "whole", *(f"{one.counts.get(name, 0):,}" for name in members)]
        for target in targets:
            p = own.get(target)
            row += ["-", "-"] if p is None else [f"{p.tar:.6f}", _threshold(p.threshold)]
            if one is result:
                row += [rate_text(p.far), f"{1 - p.tar:.6f}"]
                continue
            pooled = [one.measures.get(f"{rate} at ALL's {target:g}") for rate in ("FMR", "FNMR")]
            row += ["-"] * 2 if None in pooled else [rate_text(pooled[0]), f"{pooled[1]:.6f}"]
        rows.append(row)
    return table(rows, 1, "Groups (strict)", groups)


def inputs_table(inputs):
    """Return the table of the inputs' SHA-256."""
    rows = [["input", "SHA-256"], *([name, digest] for name, digest in inputs.items())]
    return table(rows, 2, "Inputs")


def plot_block(named, classes=("same person", "different people"), limits=None):
    """Return the plots of results: one ROC, DET and CMC for all of them, a histogram for each.

    Parameters
    ----------
    named : sequence of (str, EvaluationResult)
        With a label for the legend. Curves that a result lacks are left out.
    classes : (str, str)
        Names of both classes in the histogram.
    limits : dict of str to (thresholds, band), optional
        By label: see `plots.histogram`. Default: the strict thresholds.
    """
    figures = []
    with_roc = [(name, one) for name, one in named if one.roc_curve is not None and _rates(one)]
    if with_roc:
        curves = [plots.rate_curve(name, one) for name, one in with_roc]
        names, first = _points(with_roc[0][1])[0], _terms(with_roc[0][1])
        said = "; ".join(
            f"{name}: "
            + ", ".join(
                f"{names.TAR} {rate:.4f} at {names.FAR} {rate_text(target)}"
                for target, rate in _rates(one).items()
            )
            for name, one in with_roc
        )
        if "roc" in first:
            figure = plots.roc(curves, first["roc"], first["far"], first["tar"])
            figures.append((figure, f"{first['roc']}. {said}"))
        figure = plots.det(curves, first["det"], first["far"], first["frr"])
        figures.append((figure, f"{first['det']}. {said}"))
    with_ranks = [(name, one) for name, one in named if one.cmc is not None and len(one.cmc) > 1]
    if with_ranks:
        curves = [
            plots.Curve(name, np.arange(1, len(one.cmc) + 1), one.cmc, tuple(
                (r.rank, r.rate) for r in one.ranks if r.rank <= len(one.cmc)
            ))
            for name, one in with_ranks
        ]  # fmt: skip
        said = "; ".join(
            f"{name}: " + ", ".join(f"rank {r.rank} {r.rate:.4f}" for r in one.ranks)
            for name, one in with_ranks
        )
        figures.append((plots.cmc(curves), f"CMC. {said}"))
    for name, one in named:
        if one.histogram is not None:
            title = f"Scores: {name}" if len(named) > 1 else "Scores"
            own = (limits or {}).get(name) or (_limits(one), None)
            figure = plots.histogram(one.histogram, own[0], title, classes, own[1])
            figures.append((figure, f"{title}. {_means(one.histogram, classes)}"))
    return {"kind": "plots", "plots": [plots.svg(*figure) for figure in figures]}


def _limits(one):
    """Return the strict thresholds of a result by their names."""
    rate = "FMR" if one.operating_points and one.error_rates else None
    return [
        (f"{rate or p.FAR} {rate_text(p.target)}", p.threshold)
        for p in strict_points(_points(one))
        if math.isfinite(p.threshold)
    ]


def _means(scores, classes):
    """Return the mean score of both classes in words."""
    middle = (np.asarray(scores.edges)[1:] + np.asarray(scores.edges)[:-1]) / 2
    means = [float(np.average(middle, weights=counts)) if counts.sum() else math.nan
             for counts in (scores.same, scores.different)]  # fmt: skip
    return f"Mean of {classes[0]} {means[0]:.3f}, of {classes[1]} {means[1]:.3f}"


def _points(one):
    return one.operating_points or one.searches


def _rates(one):
    return {p.target: p.tar for p in strict_points(_points(one))}


def _terms(one):
    """Return what a result's rates are called on its plots."""
    return _TERMS[_points(one)[0].TAR, bool(one.error_rates)]


def _threshold(value):
    return f"{value:.4f}" if math.isfinite(value) else ("none" if value > 0 else "all")
