"""Figures as rows of text, and rows of text as aligned columns."""

import math

from ...errors import one_line
from ..metrics.operating_points import strict_points

__all__ = [
    "align_columns",
    "error_rate_rows",
    "error_table",
    "interval",
    "number",
    "operating_point_rows",
    "rank_rows",
    "rate_text",
]


def align_columns(rows, words=1):
    """Align `rows` of text, the first `words` columns to the left and the others to the right."""
    rows = [[one_line(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if place < words else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths))
        ).rstrip()
        for row in rows
    )


def interval(low, high, between="-"):
    """Return a confidence interval as text, "-" where there is none."""
    return "-" if low is None else f"{low:.4f}{between}{high:.4f}"


def number(value, digits=4):
    """Return a figure as text, "-" for None."""
    return "-" if value is None else f"{value:.{digits}f}" if isinstance(value, float) else value


def operating_point_rows(points):
    """Return the rows of operating points or of searches, both conventions side by side."""
    if not points:
        return []
    reference = {p.target: p for p in points if p.convention == "reference"}
    strict = strict_points(points)
    intervals = any(p.low is not None for p in strict)
    tar, far = points[0].TAR, points[0].FAR
    head = [far, tar, *(["95 % interval"] if intervals else []), f"realised {far}", "k", "of"]
    head += ["threshold", *([f"{tar} reference", f"its {far}"] if reference else [])]
    rows = [head]
    for p in strict:
        row = [f"{p.target:g}", f"{p.tar:.6f}", *([interval(p.low, p.high)] if intervals else [])]
        row += [f"{p.far:.3g}", str(p.false_accepts), str(p.allowed), f"{p.threshold:.4f}"]
        if p.target in reference:
            nearest = reference[p.target]
            row += [f"{nearest.tar:.6f}", f"{nearest.far:.3g}"]
        rows.append(row)
    return rows


def rank_rows(ranks, between="-", counts=("hits", "probes"), count="d"):
    """Return the rows of rank rates; `counts` heads their last columns, in the format `count`."""
    if not ranks:
        return []
    intervals = any(r.low is not None for r in ranks)
    rows = [["rank", "rate", *(["95 % interval"] if intervals else []), *counts]]
    for r in ranks:
        row = [str(r.rank), f"{r.rate:.6f}"]
        row += [interval(r.low, r.high, between)] if intervals else []
        rows.append([*row, f"{r.hits:{count}}", f"{r.probes:{count}}"])
    return rows


def error_rate_rows(rates):
    """Return the rows of NIST's error rates."""
    first = rates[0]
    grouped = any(rate.group is not None for rate in rates)
    intervals = any(rate.low is not None for rate in rates)
    one, other = ("FMR", "FNMR") if first.depth is None else ("FPIR", "FNIR")
    wrong, missed = ("false matches", "misses") if first.depth is None else ("alarms", "misses")
    head = [one, *(["group"] if grouped else []), f"realised {one}", "rel. error", other]
    head += [*(["95 % interval"] if intervals else []), "threshold"]
    rows = [[*head, wrong, "of", missed, "of"]]
    for r in rates:
        row = [f"{r.target:g}", *([r.group or "all"] if grouped else []), f"{r.fmr:.3g}"]
        row += ["-" if r.fmr_error is None else f"{r.fmr_error:.0%}", f"{r.fnmr:.6f}"]
        row += [interval(r.low, r.high)] if intervals else []
        row += ["-" if not math.isfinite(r.threshold) else f"{r.threshold:.4f}"]
        counts = (r.false_matches, r.nonmated, r.false_nonmatches, r.mated)
        rows.append([*row, *(str(count) for count in counts)])
    return rows


def error_table(rates):
    """Return NIST's error rates as aligned text."""
    rows = error_rate_rows(rates)
    return align_columns(rows, words=1 + ("group" in rows[0]))


def rate_text(rate):
    """Return a rate as people write it: 0.001, but 1e-4 and not 1e-04; 15,000 with a comma."""
    if abs(rate) < 1e-12:
        return "0"
    if 0 < rate < 0.000999:
        head, power = f"{rate:.2e}".split("e")
        return f"{head.rstrip('0').rstrip('.')}e{int(power)}"
    return f"{rate:,.0f}" if abs(rate) >= 1000 else f"{rate:.3g}".replace("-", "\u2212")
