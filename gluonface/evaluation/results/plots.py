"""The one plotter of evaluation: ROC, DET, CMC, histogram of scores, sheet of image pairs.

Each function returns a matplotlib figure, which `save` writes as a file on white and `svg` as
text for a page: there its colours are the page's CSS variables, so it follows light and dark, and
its words are text. matplotlib is imported at use and through its object interface, which needs no
screen and leaves the user's own pyplot state alone.
"""

from __future__ import annotations

import contextlib
import dataclasses
import html
import io
import math
import pathlib
import re
from typing import Any

import numpy as np

from ...errors import InputError
from ...files import atomic_write
from ..metrics.operating_points import strict_points
from .tables import rate_text

__all__ = [
    "Curve",
    "cmc",
    "det",
    "histogram",
    "lines",
    "pair_sheet",
    "rate_curve",
    "roc",
    "save",
    "svg",
]

# What a page calls each colour: see page.html. The curves' keep apart for colour-blind readers.
_VARIABLES = {
    "#1c2024": "ink",
    "#5b6470": "soft",
    "#d8dce1": "line",
    "#ffffff": "card",
    **{
        colour: f"s{number}"
        for number, colour in enumerate(
            ("#0072b2", "#c24d00", "#007f5f", "#a3457b", "#6a5acd", "#8a6500")
        )
    },
}
_COLOURS = {name: colour for colour, name in _VARIABLES.items()}
_STYLES = ("-", "--", "-.", ":")
_SIZE = (480, 320)  # of a plot, in points


@dataclasses.dataclass(frozen=True, eq=False)
class Curve:
    """One curve.

    Attributes
    ----------
    label : str
        For the legend.
    x, y : array_like, shape (n,)
        False-accept and true-accept rate, or rank and rate: corners, joined by straight lines.
    marks : sequence of (x, y)
        Dots on it.
    same, different : int
        How many pairs of each kind there are: one over them is the smallest rate that is not 0.
    """

    label: str
    x: Any
    y: Any
    marks: tuple[tuple[float, float], ...] = ()
    same: int = 1
    different: int = 1


def rate_curve(label: str, result: Any) -> Curve:
    """Return the ROC of an `EvaluationResult` with a dot for each strict rate it resolves."""
    points = result.operating_points or result.searches
    same, different = points[0].same, points[0].different
    marks = tuple((p.target, p.tar) for p in strict_points(points) if p.target >= 1 / different)
    curve = result.roc_curve
    return Curve(label, curve.fpr, curve.tpr, marks, same, different)


def roc(curves, title, far="False-accept rate (FAR)", tar="True-accept rate (TAR)"):
    """Draw the true-accept rate over a logarithmic false-accept rate.

    Parameters
    ----------
    curves : sequence of Curve
    title : str
    far, tar : str
        Names of the axes.

    Returns
    -------
    matplotlib.figure.Figure
    """
    different = max(curve.different for curve in curves)
    left, right = _far_limits(curves)
    # Without any false accept there is no place on a logarithmic axis: that is the left edge.
    at_left = [np.asarray(curve.y)[np.asarray(curve.x) <= left] for curve in curves]
    floor = min((float(rates.max()) for rates in at_left if len(rates)), default=0.0)
    error = "accept" if "accept" in far else "positive"
    rate = rate_text(1 / different)
    note = f"Dots: strict. Below {rate} (1 of {different:,}): no false {error}s."
    with _axes(title, f"{far}\n{note}", tar, len(curves)) as axes:
        axes.set(xscale="log", xlim=(left, right), ylim=(_below(floor), 1))
        _draw(axes, curves)
    return axes.figure


def det(curves, title, far="False-accept rate (FAR)", frr="False-reject rate (1 - TAR)"):
    """Draw the false-reject rate over the false-accept rate, both logarithmic (DET).

    `curves` hold true-accept rates; see `roc`.
    """
    low = _decade(min(1 / curve.same for curve in curves))
    missed = [
        dataclasses.replace(
            curve,
            y=np.maximum(1 - np.asarray(curve.y, np.float64), low),
            marks=tuple((x, max(1 - y, low)) for x, y in curve.marks),
        )
        for curve in curves
    ]
    highest = max(float(np.max(curve.y)) for curve in missed)
    top = 1.0 if highest > 0.5 else 10.0 ** math.ceil(math.log10(highest) - 1e-9)
    with _axes(title, far, frr, len(curves)) as axes:
        limits = _far_limits(curves)
        axes.set(xscale="log", yscale="log", xlim=limits, ylim=(low, max(top, low * 10)))
        _draw(axes, missed)
    return axes.figure


def cmc(curves, title="CMC"):
    """Draw the share of probes found (`y`) by rank (`x`, from 1)."""
    last = max(2.0, max(float(np.max(curve.x)) for curve in curves))
    floor = min(float(np.min(curve.y)) for curve in curves)
    with _axes(title, "Rank", "Share of probes found", len(curves)) as axes:
        axes.set(xscale="log", xlim=(1, last), ylim=(_below(floor), 1))
        _draw(axes, curves)
    return axes.figure


def lines(curves, title, x_name, y_name, x_limits, y_limits, diagonal=False):
    """Draw curves over two linear axes, with their marks as dots.

    Parameters
    ----------
    curves : sequence of Curve
    title, x_name, y_name : str
    x_limits, y_limits : (float, float)
    diagonal : bool, default False
        Whether to draw where both are equal.

    Returns
    -------
    matplotlib.figure.Figure
    """
    with _axes(title, x_name, y_name, len(curves)) as axes:
        axes.set(xlim=x_limits, ylim=y_limits)
        if diagonal:
            axes.plot(x_limits, x_limits, ls=":", lw=1.2, color=_COLOURS["soft"])
        _draw(axes, curves)
    return axes.figure


def histogram(scores, thresholds, title, names=("same person", "different people"), band=None):
    """Draw how the scores of both classes spread, each as shares of its own number.

    Parameters
    ----------
    scores : ScoreHistogram
    thresholds : sequence of (text, score)
        Drawn as lines; at most four of them.
    title : str
    names : (str, str)
        Of the classes, for the legend.
    band : (float, float), optional
        Lowest and highest threshold of the folds, drawn as a band.

    Returns
    -------
    matplotlib.figure.Figure
    """
    counts = np.array([scores.same, scores.different], np.float64)
    used = np.flatnonzero(counts.any(axis=0))
    shown = slice(max(used[0] - 1, 0), used[-1] + 2)
    totals = counts.sum(axis=1).astype(int)
    heights = counts[:, shown] / np.maximum(totals, 1)[:, None]
    edges = np.asarray(scores.edges)[shown.start : shown.start + heights.shape[1] + 1]
    labels = [f"{name}: {total:,}" for name, total in zip(names, totals)]
    if scores.share < 1:
        labels[1] += f" ({scores.share:.2g} of all, sampled)"
    inside = [(text, score) for text, score in thresholds if edges[0] < score < edges[-1]]
    with _axes(title, "Score", "Share of the class", 3) as axes:
        top = heights.max() * (1.1 + 0.07 * min(len(inside), 4))  # room for their names
        axes.set(xlim=(edges[0], edges[-1]), ylim=(0, top))
        for place, (shares, label) in enumerate(zip(heights, labels)):
            colour = _COLOURS[f"s{place}"]
            axes.stairs(shares, edges, fill=True, color=colour, alpha=0.25, lw=0, clip_on=False)
            axes.stairs(shares, edges, color=colour, lw=1.5, label=label, clip_on=False)
        if band is not None:
            ends = np.clip(band, edges[0], edges[-1])
            axes.fill_between(ends, 0, top, color=_COLOURS["soft"], alpha=0.3, lw=0, clip_on=False)
        label = "threshold"
        if len(thresholds) == 1:
            label += f" {thresholds[0][1]:.3f}"
        if band is not None:
            label += f" (folds {band[0]:.3f} to {band[1]:.3f})"
        style = {"color": _COLOURS["ink"], "lw": 1.2, "ls": "--", "clip_on": False}
        for number, (text, score) in enumerate(_spread(inside)):
            axes.plot([score, score], [0, top], **style, label=None if number else label)
            at_right = score > edges[0] + 0.8 * (edges[-1] - edges[0])
            axes.annotate(
                text,
                (score, top),
                (-4 if at_right else 4, -6 - 13 * number),
                textcoords="offset points",
                ha="right" if at_right else "left",
                va="top",
                fontsize=10,
                bbox={"fc": _COLOURS["card"], "ec": "none", "pad": 1, "alpha": 0.8},
            )
    return axes.figure


def pair_sheet(items, title):
    """Draw image pairs with their captions as one sheet.

    Parameters
    ----------
    items : sequence of (images, caption, wrong)
        Two images, uint8 (H, W, 3) RGB; text, lines split by newlines; whether the decision is
        wrong, which gives the frame its colour.
    title : str

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib.figure import Figure

    columns = min(5, max(2, len(items)))
    rows = max(1, math.ceil(len(items) / columns))
    # All in inches: a pair is 2.4 x 1.2, with two lines of text above it.
    cell, line, head, edge = (2.65, 1.75), 0.5, 0.5, 0.12
    width = max(columns * cell[0] + edge, 0.105 * len(title) + 2 * edge)
    height = rows * cell[1] + head + edge
    figure, ink = Figure(figsize=(width, height)), _COLOURS["ink"]
    figure.text(edge / width, 1 - edge / height, title, va="top", fontsize=12, color=ink)
    for place, (images, caption, wrong) in enumerate(items):
        row, column = divmod(place, columns)
        left = edge + column * cell[0]
        bottom = height - head - (row + 1) * cell[1] + 0.05
        axes = figure.add_axes(
            (left / width, bottom / height, (cell[0] - 0.25) / width, (cell[1] - line) / height)
        )
        gap = np.full((len(images[0]), 6, 3), 255, np.uint8)
        axes.imshow(np.concatenate([images[0], gap, images[1]], axis=1), interpolation="nearest")
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set(edgecolor=_COLOURS["s1" if wrong else "s2"], linewidth=2)
        axes.set_title(caption, fontsize=8, loc="left", color=ink, pad=4)
    return figure


def save(figure, path):
    """Save a figure on a white background.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    path : str or pathlib.Path
        .png, .svg or .pdf; else an InputError.
    """
    path = pathlib.Path(path)
    kind = path.suffix.lstrip(".").lower() or "png"
    if kind not in ("png", "svg", "pdf"):
        raise InputError(f"{path} ends in .{kind}; plots are written as .png, .svg or .pdf")
    with atomic_write(path) as file:
        figure.savefig(file, format=kind, dpi=130, facecolor="white")


def svg(figure, alt):
    """Return a figure as an SVG element for a page.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    alt : str
        What it shows, with the figures in words, for those who cannot see it.

    Returns
    -------
    str
        Without ids and addresses, and the same for the same figure.
    """
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "gluonface"}):
        figure.patch.set_visible(False)
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    figure.patch.set_visible(True)
    text = buffer.getvalue()
    size = re.search(r'viewBox="([^"]*)"', text)[1]
    text = text[text.index("</metadata>") + len("</metadata>") :]
    text = re.sub(r'<g id="[^"]*"', "<g", text)
    text = re.sub(r"<!--.*?-->|<style.*?</style>", "", text, flags=re.S)
    text = re.sub(r" d=\"[^\"]*\"", _rounded, text)
    text = re.sub(r' transform="rotate\(-0 [^"]*"|font-family: [^;"]*; ?', "", text)
    text = re.sub(r"\s*\n\s*", "\n", text)
    for colour, name in _VARIABLES.items():
        text = text.replace(colour, f"var(--{name})")
    return f'<svg class="plot" viewBox="{size}" role="img" aria-label="{html.escape(alt)}">{text}'


def _rounded(match):
    """Return the corners of a path to a tenth of a point."""
    return re.sub(r"-?\d+\.\d+", lambda number: f"{float(number[0]):.1f}", match[0])


@contextlib.contextmanager
def _axes(title, x_name, y_name, keys):
    """Yield the axes of a new figure, and give them ticks and a legend at the end.

    `keys` is the number of entries of the legend, which is below the axes.
    """
    import matplotlib
    from matplotlib.figure import Figure

    height = _SIZE[1] + 14 * (keys // 2 if keys > 1 else 0)
    style = {"font.size": 11, "text.color": _COLOURS["ink"], "axes.labelcolor": _COLOURS["ink"]}
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(_SIZE[0] / 72, height / 72), dpi=72, layout="constrained")
        axes = figure.add_subplot()
        axes.set_title(title, loc="left", fontsize=12)
        axes.set_xlabel(x_name)
        axes.set_ylabel(y_name)
        axes.patch.set_visible(False)
        axes.grid(color=_COLOURS["line"], lw=0.8, clip_on=False)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[:].set_color(_COLOURS["soft"])
        yield axes
        for axis in (axes.xaxis, axes.yaxis):
            _set_ticks(axis)
        axes.tick_params(length=0, pad=6, which="both", labelcolor=_COLOURS["soft"])
        handles, labels = axes.get_legend_handles_labels()
        if len(labels) > 1:
            longest = max(map(len, labels))
            columns = 1 if longest > 32 else 2 if longest > 14 else 4
            figure.legend(
                handles, labels, loc="outside lower left", ncols=columns, fontsize=10, frameon=False
            )


def _set_ticks(axis):
    """Give an axis ticks that are written as people write rates."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    if axis.get_scale() == "log":
        low, high = np.log10(axis.get_view_interval())
        whole = math.floor(high + 1e-9) - math.ceil(low - 1e-9) + 1  # powers of ten on the axis
        axis.set_major_locator(LogLocator(subs=(1, 2, 5) if whole <= 2 else (1,), numticks=9))
        axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: rate_text(value)))


def _draw(axes, curves):
    """Draw curves with their dots, put onto the edge where they leave the axes."""
    for number, curve in enumerate(curves):
        colour = _COLOURS[f"s{number % 6}"]
        axes.plot(
            np.clip(curve.x, *axes.get_xlim()),
            np.clip(curve.y, *axes.get_ylim()),
            _STYLES[number % len(_STYLES)],
            color=colour,
            lw=max(1.4, 2.6 - 0.4 * number),  # the first shows beside a later one on top of it
            label=curve.label,
            clip_on=False,
        )
        inside = [(x, y) for x, y in curve.marks if axes.get_xlim()[0] <= x <= axes.get_xlim()[1]]
        if inside:
            axes.plot(*zip(*inside), "o", color=colour, ms=5, clip_on=False, zorder=3)


def _spread(thresholds):
    """Return up to four of the thresholds, so that their names do not all lie on each other."""
    thresholds = sorted(thresholds, key=lambda item: item[1])
    if len(thresholds) > 4:
        chosen = np.unique(np.linspace(0, len(thresholds) - 1, 4).round().astype(int))
        thresholds = [thresholds[number] for number in chosen]
    return thresholds


def _below(rate):
    """Return the tenth below a rate, where the axis begins."""
    return max(0.0, math.floor((rate - 0.02) * 10) / 10)


def _decade(rate):
    """Return the power of ten at or below a rate."""
    return 10.0 ** math.floor(math.log10(rate) + 1e-9)


def _far_limits(curves):
    """Return the ends of the axis of false-accept rates."""
    left = _decade(min(1 / curve.different for curve in curves))
    right = max(float(np.max(curve.x)) for curve in curves)
    # Below 1 where only the upper end of the scores is known.
    power = math.ceil(math.log10(max(right, left * 10)) - 1e-9)
    return left, min(1.0, 10.0**power)
