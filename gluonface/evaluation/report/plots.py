"""Pictures of verification results: ROC, score histogram, sheet of image pairs.

matplotlib is imported at use and through its object interface, which draws with Agg without a
screen and leaves the user's own pyplot state alone. Backgrounds are white in every file.
"""

import math
import pathlib

import numpy as np

from ...errors import InputError
from ...files import atomic_write

__all__ = ["pair_sheet", "roc", "score_histogram"]

# Okabe and Ito's palette, which colour-blind readers tell apart; the styles do so in print.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
_STYLES = ("-", "--", "-.", ":")
_SAME, _DIFFERENT = "#0072B2", "#D55E00"
_INK, _GRID = "#222222", "#dddddd"


def roc(results, path, title=None):
    """Draw TAR over a logarithmic FAR axis, one line per result, and save it.

    Dots mark the strict TAR at the FARs of each result.

    Parameters
    ----------
    results : sequence of VerificationResult
        Results without both kinds of pairs have no ROC and are left out.
    path : str or pathlib.Path
        .png, .svg or .pdf.
    title : str, optional
    """
    results = [result for result in results if result.auc is not None]
    if not results:
        raise InputError("no ROC to draw: it needs same and different pairs")
    figure, axes = _figure(7.0, 5.0)
    several = len({result.pack for result in results}) > 1
    lowest = min(1 / result.n_different for result in results)
    left = 10 ** math.floor(math.log10(lowest) + 1e-9)
    floor = 1.0
    for place, result in enumerate(results):
        curve = result.roc()
        colour, style = _COLOURS[place % len(_COLOURS)], _STYLES[place % len(_STYLES)]
        # No false accept at all has no place on a logarithmic axis: it is drawn at the left edge.
        far = np.maximum(curve.fpr, left)
        name = (result.flip and f"flip {result.flip}") or result.pack or "result"
        if several:
            name = " ".join(filter(None, (result.pack, result.flip)))
        label = f"{name}  AUC {result.auc:.4f}  EER {result.eer:.4f}"
        width = max(1.2, 3.2 - 0.8 * place)  # the first line shows beside a later one on top of it
        axes.plot(far, curve.tpr, style, color=colour, lw=width, label=label, ds="steps-post")
        at_left = curve.tpr[curve.fpr <= left].max()
        floor = min(floor, at_left)
        for target, rate in (result.tar or {}).items():
            axes.plot([target], [rate], "o", color=colour, ms=5, clip_on=False, zorder=3)
    axes.set_xscale("log")
    axes.set_xlim(left, 1)
    bottom = max(0.0, math.floor((floor - 0.02) * 10) / 10)
    axes.set_ylim(bottom, 1 + 0.02 * (1 - bottom))
    axes.set_xlabel("False-accept rate (share of different pairs accepted)")
    axes.set_ylabel("True-accept rate (share of same pairs accepted)")
    axes.set_title(title or "ROC", loc="left", color=_INK, fontsize=12)
    axes.grid(True, which="major", color=_GRID, lw=0.8)
    axes.set_axisbelow(True)
    axes.legend(loc="lower right", fontsize=9, framealpha=0.95, edgecolor=_GRID)
    axes.text(
        0.0,
        -0.155,
        f"Dots: strict TAR. Below FAR {lowest:.2g} (1 of {round(1 / lowest)} different pairs) no "
        "false accept is left.",
        transform=axes.transAxes,
        fontsize=8,
        color="#555555",
        va="top",
    )
    _save(figure, path)


def score_histogram(result, path, title=None):
    """Draw the scores of same and of different pairs with the threshold, and save it.

    Parameters
    ----------
    result : VerificationResult
    path : str or pathlib.Path
    title : str, optional
    """
    figure, axes = _figure(7.0, 4.0)
    low, high = float(result.score.min()), float(result.score.max())
    pad = 0.02 * (high - low) or 0.02
    bins = np.linspace(low - pad, high + pad, 61)
    for side, colour, name in (
        (True, _SAME, "same person"),
        (False, _DIFFERENT, "different people"),
    ):
        scores = result.score[result.issame == side]
        if len(scores):
            label = f"{name}: {len(scores)} pairs"
            axes.hist(scores, bins, color=colour, alpha=0.35)
            axes.hist(scores, bins, histtype="step", color=colour, lw=1.6, label=label)
    thresholds = [1 - threshold / 2 for threshold in result.thresholds]
    axes.axvspan(min(thresholds), max(thresholds), color="#999999", alpha=0.35, lw=0)
    axes.axvline(
        result.cosine_threshold,
        color=_INK,
        lw=1.4,
        ls="--",
        label=f"threshold {result.cosine_threshold:.3f} "
        f"(folds {min(thresholds):.3f} to {max(thresholds):.3f})",
    )
    axes.set_xlabel("Cosine score")
    axes.set_ylabel("Pairs")
    name = " ".join(filter(None, (result.pack, result.flip and f"flip {result.flip}")))
    axes.set_title(title or f"Scores  {name}", loc="left", color=_INK, fontsize=12)
    axes.yaxis.get_major_locator().set_params(integer=True)
    axes.grid(True, axis="y", color=_GRID, lw=0.8)
    axes.set_axisbelow(True)
    axes.set_ylim(top=axes.get_ylim()[1] * 1.25)  # room for the legend above the bars
    axes.legend(loc="upper right", fontsize=9, framealpha=0.95, edgecolor=_GRID)
    _save(figure, path)


def pair_sheet(items, path, title):
    """Draw image pairs with their captions as one sheet and save it.

    Parameters
    ----------
    items : sequence of (images, caption, wrong)
        `images` uint8 (2, H, W, 3) RGB; `caption` str, lines split by newlines; `wrong` bool, which
        gives the frame its colour.
    path : str or pathlib.Path
    title : str
    """
    from matplotlib.figure import Figure

    columns = min(5, max(2, len(items)))
    rows = max(1, math.ceil(len(items) / columns))
    # All in inches: a pair is 2.4 x 1.2, with two lines of text above it.
    cell, line, head, edge = (2.65, 1.75), 0.5, 0.5, 0.12
    width = max(columns * cell[0] + edge, 0.105 * len(title) + 2 * edge)
    height = rows * cell[1] + head + edge
    figure = Figure(figsize=(width, height), dpi=130, facecolor="white")
    figure.text(edge / width, 1 - edge / height, title, va="top", fontsize=12, color=_INK)
    for place, (images, caption, wrong) in enumerate(items):
        row, column = divmod(place, columns)
        left = edge + column * cell[0]
        bottom = height - head - (row + 1) * cell[1] + 0.05
        axes = figure.add_axes(
            (left / width, bottom / height, (cell[0] - 0.25) / width, (cell[1] - line) / height)
        )
        gap = np.full((images.shape[1], 6, 3), 255, np.uint8)
        axes.imshow(np.concatenate([images[0], gap, images[1]], axis=1), interpolation="nearest")
        axes.set_xticks([])
        axes.set_yticks([])
        for spine in axes.spines.values():
            spine.set_edgecolor(_DIFFERENT if wrong else "#009E73")
            spine.set_linewidth(2)
        axes.set_title(caption, fontsize=8, loc="left", color=_INK, pad=4)
    _save(figure, path)


def _figure(width, height):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=130, facecolor="white", layout="constrained")
    axes = figure.add_subplot()
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.tick_params(colors=_INK, labelsize=9)
    return figure, axes


def _save(figure, path):
    path = pathlib.Path(path)
    kind = path.suffix.lstrip(".").lower() or "png"
    if kind not in ("png", "svg", "pdf"):
        raise InputError(f"{path} ends in .{kind}; plots are written as .png, .svg or .pdf")
    with atomic_write(path) as file:
        figure.savefig(file, format=kind)
