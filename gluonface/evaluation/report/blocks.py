"""The pieces of a report that all protocols share: rates, plots, groups, the worst errors."""

import base64
import math

import numpy as np

from ..metrics import error_rates
from . import html_page, svg_plots
from .svg_plots import Line, rate_text

__all__ = [
    "convention_table",
    "error_rate_table",
    "error_sheet",
    "group_table",
    "inputs_table",
    "jpeg",
    "plots",
    "rank_table",
    "verdict",
]

_CONVENTIONS = {
    "TAR": (
        "strict: the FAR is not above the target",
        "reference: the ROC point nearest to the target",
    ),
    "TPIR": ("strict: the FPIR is not above the target", "reference: ijb_evals.py"),
}
_WORDS = {"TAR": ("false accepts", "same", "different pairs"),
          "TPIR": ("false positives", "mated", "non-mated searches")}  # fmt: skip


# What rates are called on plots: of pairs or of a search, in papers or in NIST's reports.
_TERMS = {
    ("pairs", False): {
        "short": "FAR",
        "far": "False-accept rate (FAR)",
        "tar": "True-accept rate (TAR)",
        "frr": "False-reject rate (1 - TAR)",
        "roc": "ROC",
        "det": "DET",
    },
    ("pairs", True): {
        "short": "FMR",
        "far": "False match rate (FMR)",
        "frr": "False non-match rate (FNMR)",
        "det": "DET: FNMR over FMR",
    },
    ("search", False): {
        "short": "FPIR",
        "far": "FPIR",
        "tar": "TPIR",
        "frr": "FNIR",
        "roc": "TPIR over FPIR",
        "det": "FNIR over FPIR",
    },
    ("search", True): {
        "short": "FPIR",
        "far": "FPIR",
        "frr": "FNIR",
        "det": "DET: FNIR over FPIR",
    },
}


def convention_table(points, caption=None):
    """Return the table of operating points, or of searches, with the conventions side by side.

    Parameters
    ----------
    points : sequence of operating.OperatingPoint
    caption : str, optional
    """
    one, targets = points[0], list(dict.fromkeys(p.target for p in points))
    accepts, same, different = _WORDS[one.TAR]
    head, groups, rows = [one.FAR], [("", 1)], [[rate_text(t)] for t in targets]
    for convention, title in zip(("strict", "reference"), _CONVENTIONS[one.TAR]):
        found = {p.target: p for p in points if p.convention == convention}
        if not found:
            continue
        interval = any(p.low is not None for p in found.values())
        strict = convention == "strict"
        names = [one.TAR, *(["95 % interval"] if interval else []), f"realised {one.FAR}", accepts]
        names += [*(["allowed"] if strict else []), "threshold"]
        head += names
        groups.append((title, len(names)))
        for target, row in zip(targets, rows):
            p = found.get(target)
            if p is None:
                row += ["-"] * len(names)
                continue
            row += [f"{p.tar:.6f}", *([_interval(p)] if interval else []), rate_text(p.far)]
            row += [f"{p.false_accepts:,}", *([f"{p.allowed:,}"] if strict else [])]
            row.append(_number(p.threshold))
    caption = caption or f"{one.TAR} at {one.FAR}, by both conventions"
    caption += f" ({one.same:,} {same} and {one.different:,} {different})"
    return html_page.grouped_table(groups, [head, *rows], 1, caption)


def rank_table(ranks):
    """Return the table of rank rates."""
    interval = any(r.low is not None for r in ranks)
    rows = [["rank", "rate", *(["95 % interval"] if interval else []), "found", "of"]]
    for r in ranks:
        row = [str(r.rank), f"{r.rate:.6f}", *([_interval(r)] if interval else [])]
        rows.append([*row, f"{r.hits:,}", f"{r.probes:,}"])
    return html_page.table(rows, 1, "Rank rates")


def error_rate_table(errors):
    """Return the table of NIST's error rates."""
    rows = error_rates.error_rows(errors)
    words = 1 + ("group" in rows[0])
    return html_page.table(rows, words, "Error rates as NIST states them")


def group_table(outcome):
    """Return the table of the parts of an outcome, a line each, and of the whole."""
    targets = [p.target for p in outcome.points if p.convention == "strict"]
    members = [name for name in ("images", "identities", "same", "different")
               if any(name in part.counts for part in outcome.parts)]  # fmt: skip
    head, groups = ["group", *members], [("", 1 + len(members))]
    for target in targets:
        head += ["TAR", "threshold", "FMR", "FNMR"]
        groups += [(f"FAR {rate_text(target)}: own threshold", 2), ("threshold of ALL", 2)]
    rows = [head]
    for part in (outcome, *outcome.parts):
        own = {p.target: p for p in part.points if p.convention == "strict"}
        row = [part.name or "whole", *(f"{part.counts.get(name, 0):,}" for name in members)]
        for target in targets:
            p = own.get(target)
            row += ["-", "-"] if p is None else [f"{p.tar:.6f}", _number(p.threshold)]
            if part is outcome:
                row += [rate_text(p.far), f"{1 - p.tar:.6f}"]
                continue
            pooled = [part.measures.get(f"{k} at ALL's {target:g}") for k in ("FMR", "FNMR")]
            row += ["-"] * 2 if None in pooled else [rate_text(pooled[0]), f"{pooled[1]:.6f}"]
        rows.append(row)
    return html_page.grouped_table(groups, rows, 1, "Groups (strict)")


def inputs_table(inputs):
    """Return the table of the inputs' SHA-256."""
    rows = [["input", "SHA-256"], *([name, digest] for name, digest in inputs.items())]
    return html_page.table(rows, 2, "Inputs")


def plots(named, names=("same person", "different people"), limits=None):
    """Return the plots of outcomes: one ROC, DET and CMC for all of them, a histogram for each.

    Parameters
    ----------
    named : sequence of (str, Outcome)
        With a label for the legend. Curves that an outcome lacks are left out.
    names : (str, str)
        Of both classes in the histogram.
    limits : dict of str to list of (str, float), optional
        By label: names and scores of thresholds for the histogram. Default: the strict ones.
    """
    found = []
    with_roc = [(name, one) for name, one in named if one.roc is not None and _rates(one)]
    if with_roc:
        figures = _figures(with_roc[0][1])
        terms = _terms(with_roc[0][1])
        lowest = min(1 / _figures(one)[0].different for _, one in with_roc)
        resolution = min(1 / _figures(one)[0].same for _, one in with_roc)
        lines = [
            Line(
                name, one.roc.fpr, one.roc.tpr,
                tuple((t, tar) for t, tar in _rates(one).items() if t >= lowest),
            )
            for name, one in with_roc
        ]  # fmt: skip
        said = "; ".join(f"{name}: {_spoken(one, figures[0])}" for name, one in with_roc)
        if not with_roc[0][1].errors:  # NIST draws no ROC
            title = terms["roc"]
            says = f"{title}. {said}"
            found.append(svg_plots.roc(lines, lowest, title, says, terms["far"], terms["tar"]))
        title = terms["det"]
        says = f"{title}. {said}"
        found.append(
            svg_plots.det(lines, lowest, resolution, title, says, terms["far"], terms["frr"])
        )
    with_ranks = [(name, one) for name, one in named if one.cmc is not None and len(one.cmc) > 1]
    if with_ranks:
        lines = [
            Line(name, np.arange(1, len(one.cmc) + 1), one.cmc, tuple(
                (r.rank, r.rate) for r in one.ranks if r.rank <= len(one.cmc)
            ))
            for name, one in with_ranks
        ]  # fmt: skip
        said = "; ".join(
            f"{name}: " + ", ".join(f"rank {r.rank} {r.rate:.4f}" for r in one.ranks)
            for name, one in with_ranks
        )
        found.append(svg_plots.cmc(lines, "CMC", f"CMC. {said}"))
    for name, one in named:
        if one.histogram is not None:
            found.append(_histogram(name, one, names, (limits or {}).get(name), len(named) > 1))
    return f'<div class="plots">{"".join(found)}</div>' if found else ""


def _histogram(name, one, names, limits, several):
    drawn = one.histogram
    if limits is None:
        figures = _figures(one)
        word = _terms(one)["short"]
        limits = [
            (f"{word} {rate_text(p.target)}", p.threshold)
            for p in figures
            if p.convention == "strict" and math.isfinite(p.threshold)
        ]
    counts = [int(drawn.same.sum()), int(drawn.different.sum())]
    labels = [f"{label}: {count:,}" for label, count in zip(names, counts)]
    if drawn.share < 1:
        labels[1] += f" ({drawn.share:.2g} of all, sampled)"
    middle = (np.asarray(drawn.edges)[1:] + np.asarray(drawn.edges)[:-1]) / 2
    means = [float(np.average(middle, weights=part)) if part.sum() else math.nan
             for part in (drawn.same, drawn.different)]  # fmt: skip
    title = f"Scores: {name}" if several else "Scores"
    says = f"{title}. Mean of {names[0]} {means[0]:.3f}, of {names[1]} {means[1]:.3f}"
    return svg_plots.histogram(
        drawn.edges, drawn.same, drawn.different, limits, title, says, labels
    )  # fmt: skip


def error_sheet(title, cards):
    """Return a contact sheet.

    Parameters
    ----------
    title : str
    cards : sequence of dict
        ``heading``, ``body`` and ``small``: texts; ``wrong``: whether it is an error; ``faces``:
        for each side a list of (data URI, alt text), or None; ``sides``: what stands under each.
    """
    parts = [f'<h3>{html_page.text(title)}</h3><ul class="pairs">']
    for card in cards:
        faces = ""
        if card["faces"] and any(card["faces"]):
            words = card.get("sides") or [""] * len(card["faces"])
            sides = "".join(_side(side, word) for side, word in zip(card["faces"], words))
            faces = f'<div class="faces of{len(card["faces"])}">{sides}</div>'
        parts.append(
            f'<li class="{"wrong" if card["wrong"] else "right"}">{faces}'
            f"<b>{html_page.text(card['heading'])}</b>{html_page.text(card['body'])} "
            f'<span class="soft">{html_page.text(card["small"])}</span></li>'
        )
    return "".join([*parts, "</ul>"])


def _side(images, word):
    shown = "".join(
        f'<img src="{source}" width="112" height="112" alt="{html_page.text(alt)}">'
        for source, alt in images
    )
    shown = f'<div class="{"many" if len(images) > 1 else "one"}">{shown}</div>'
    return f"<div>{shown}{f'<small>{html_page.text(word)}</small>' if word else ''}</div>"


def jpeg(image):
    """Return a face crop, uint8 (H, W, 3) RGB, as a data URI of some kilobytes."""
    from ..._compat import cv2

    rows = np.ascontiguousarray(image[:, :, ::-1])
    data = cv2.imencode(".jpg", rows, [cv2.IMWRITE_JPEG_QUALITY, 90])[1]
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()


def verdict(hard, points, rate="FAR"):
    """Say at which rates one of the worst pairs is an error.

    Parameters
    ----------
    hard : outcomes.Hard
    points : sequence of operating.OperatingPoint
    rate : str, default "FAR"
        What the rate is called.

    Returns
    -------
    (str, bool)
        The sentence, and whether it is an error at any of the rates.
    """
    strict = [p for p in points if p.convention == "strict"]
    if hard.kind == "highest different":
        wrong = [p.target for p in strict if hard.score > p.threshold]
        if wrong:
            return f"A false accept from {rate} {rate_text(min(wrong))} on.", True
        return f"Accepted at none of the {rate}s.", False
    if hard.kind == "lowest same":
        wrong = [p.target for p in strict if not hard.score > p.threshold]
        if wrong:
            return f"A false reject up to {rate} {rate_text(max(wrong))}.", True
        return f"Accepted at every {rate}.", False
    lead = hard.score - hard.mate_score
    if lead > 0:
        return f"A wrong entry scores {lead:.3f} above the right one, {hard.mate_score:.3f}.", True
    return "A wrong entry scores as high as the right one.", True


def _figures(one):
    return one.points or one.searches


def _rates(one):
    return {p.target: p.tar for p in _figures(one) if p.convention == "strict"}


def _terms(one):
    """Return what an outcome's rates are called on its plots."""
    return _TERMS["pairs" if one.points else "search", bool(one.errors)]


def _spoken(one, names):
    return ", ".join(
        f"{names.TAR} {rate:.4f} at {names.FAR} {rate_text(target)}"
        for target, rate in _rates(one).items()
    )


def _interval(figure):
    return "-" if figure.low is None else f"{figure.low:.4f} to {figure.high:.4f}"


def _number(value):
    return f"{value:.4f}" if math.isfinite(value) else ("none" if value > 0 else "all")
