"""A calibration in words, tables and plots."""

from __future__ import annotations

import math
import os
import pathlib
from typing import Any

import numpy as np

from ..errors import InputError
from ..evaluation.metrics.roc import roc_corners, thinned
from ..evaluation.report import page_blocks as blocks
from ..evaluation.report.report_folder import write_page
from ..evaluation.results import plots
from ..evaluation.results.evaluation_result import score_histogram
from ..evaluation.results.tables import rate_text
from .calibration import Calibration
from .calibration_pairs import CalibrationPairs
from .trials import RULE_OF_30, people_needed

__all__ = ["calibration_rows", "reliability", "summary_rows", "write_report"]

BINS = 12  # of the reliability diagram, with as many pairs each


def calibration_rows(calibration: Calibration) -> list[list[str]]:
    """Return the table of thresholds as rows of text, the headings first."""
    rows = [
        [
            "FMR",
            "threshold (cosine)",
            "realised FMR",
            "95 % interval",
            "FNMR",
            "95 % interval",
            "rule",
        ]
    ]
    for point in calibration.points:
        rows.append(
            [
                rate_text(point.fmr_target),
                f"{point.threshold:.4f}",
                rate_text(point.fmr),
                f"{rate_text(point.fmr_low)} to {rate_text(point.fmr_high)}",
                rate_text(point.fnmr),
                f"{rate_text(point.fnmr_low)} to {rate_text(point.fnmr_high)}",
                f"of {point.support}",
            ]
        )
    return rows


def summary_rows(calibration: Calibration) -> list[tuple[str, str]]:
    """Return the rest as rows of a name and a value."""
    own, how = calibration.set, calibration.comparison
    people = "people not known" if own["people"] is None else f"{own['people']:,} people"
    trials = "" if own["people"] is None else f", {own['trials']:,} pairs of people"
    costs = calibration.held_out_cllr
    held = ", ".join(
        f"{name} {'-' if cost is None else format(cost, '.4f')}" for name, cost in costs.items()
    )
    rows = [
        ("set", f"{own['name']}: {people}{trials}, {own['same']:,} same and "
                f"{own['different']:,} different pairs, {own['failures']:,} failures"),
        ("model", f"{calibration.model['name']}, flip {how['flip']}, {how['input']}"),
        ("likelihood ratios", f"{calibration.map.to_dict()['map']}, up to "
                              f"{_odds(calibration.llr_high)} : 1 for one person and "
                              f"{_odds(-calibration.llr_low)} : 1 for two"),
        ("Cllr", f"{calibration.cllr:.4f} bits, {calibration.min_cllr:.4f} at least: the loss of "
                 f"calibration is {calibration.cllr - calibration.min_cllr:.4f}"),
        ("held-out Cllr", held if None not in costs.values()
                          else "too few people to hold some out: the map is the logistic one"),
    ]  # fmt: skip
    point = calibration.default_point
    rows.append(
        ("decides at", f"FMR {rate_text(point.fmr_target)}, threshold {point.threshold:.4f}")
    )
    for one in calibration.points:
        if one.support == "3":
            rows.append(("warning", _estimate(calibration, one.fmr_target)))
    if point.interval == "exact, pairs":
        rows.append(
            ("intervals", "of pairs as if independent: too narrow where pairs share people")
        )
    return rows


def _estimate(calibration, fmr):
    """Return that a rate keeps the rule of 3 alone, and what the rule of 30 would take."""
    own, text = calibration.set, f"FMR {rate_text(fmr)} is an estimate (rule of 3)"
    if own["people"] is None:
        more = math.ceil(RULE_OF_30 / fmr - 1e-9) - own["trials"]
        return f"{text}; the rule of 30 takes {more:,} more pairs of different people"
    needed = people_needed(fmr, RULE_OF_30)
    return f"{text}; the rule of 30 takes {needed:,} people, {needed - own['people']:,} more"


def _odds(llr):
    return f"{math.exp(llr):,.0f}"


def reliability(
    calibration: Calibration, pairs: CalibrationPairs
) -> list[tuple[float, float, int]]:
    """Return said and found LLRs of groups of pairs with neighbouring scores.

    Returns
    -------
    list of (mean LLR said, LLR found, pairs)
        Groups of one kind alone are left out: what is found there is infinite.
    """
    known = np.isfinite(pairs.score)
    score, issame = pairs.score[known], np.asarray(pairs.issame, bool)[known]
    llr = calibration.ratio(score)
    order = np.argsort(score, kind="stable")
    # Each kind weighs half, so that bins hold both: there are many more pairs of two people.
    weight = np.where(issame, 0.5 / issame.sum(), 0.5 / (~issame).sum())
    place = np.minimum((np.cumsum(weight[order]) * BINS).astype(int), BINS - 1)
    found = []
    for number in range(BINS):
        rows = order[place == number]
        same, different = issame[rows].sum(), (~issame[rows]).sum()
        if same and different:
            observed = math.log(same / issame.sum()) - math.log(different / (~issame).sum())
            found.append((float(np.average(llr[rows], weights=weight[rows])), observed, len(rows)))
    return found


def write_report(
    folder: str | os.PathLike, calibration: Calibration, pairs: CalibrationPairs
) -> pathlib.Path:
    """Write the calibration, its tables and plots into a folder as one page.

    Parameters
    ----------
    folder : str or pathlib.Path
        Made if it is not there.
    calibration : Calibration
    pairs : CalibrationPairs
        What it was made from.

    Returns
    -------
    pathlib.Path
        ``index.html``; ``calibration.json`` is beside it.
    """
    folder = pathlib.Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"the report folder {folder} cannot be made: {error}") from error
    calibration.save(folder / "calibration.json")
    name = calibration.set["name"] or "scores"
    content: list[dict[str, Any]] = [
        blocks.table(calibration_rows(calibration), 1, "Thresholds and their error rates"),
        blocks.text(
            "soft",
            "Thresholds are cosines: a higher score is one person. FMR is the share of pairs of "
            "two people above the threshold, FNMR the share of pairs of one person that are not. A "
            "calibration does not travel: other people, cameras or crops have other rates.",
        ),
        blocks.facts(dict(summary_rows(calibration))),
        blocks.text("heading", "Scores and errors"),
        {"kind": "plots", "plots": [plots.svg(*plot) for plot in _plots(calibration, pairs)]},
        blocks.text("heading", "Made from"),
        blocks.facts(
            {
                "SHA-256 of the set": calibration.set["sha256"],
                "model": calibration.model["sha256"],
                "made": calibration.made,
                **{f"version of {key}": value for key, value in calibration.versions.items()},
            }
        ),
    ]
    title = f"Calibration of {calibration.model['name']} on {name}"
    page = {"title": title, "heading": title, "summary": "", "blocks": content}
    return write_page(folder, page, "gluonface calibrate")


def _plots(calibration, pairs):
    """Yield figures with what they show in words."""
    issame = np.asarray(pairs.issame, bool)
    genuine, impostor = pairs.score[issame], np.sort(pairs.score[~issame])[::-1]
    limits = [(f"FMR {rate_text(p.fmr_target)}", p.threshold) for p in calibration.points]
    known = np.isfinite(pairs.score)
    histogram = score_histogram(pairs.score[issame & known], pairs.score[~issame & known])
    yield plots.histogram(histogram, limits, "Scores"), "Scores of both kinds of pairs"
    curve = thinned(roc_corners(genuine, impostor, len(impostor)))
    marks = tuple((p.fmr_target, 1 - p.fnmr) for p in calibration.points)
    one = plots.Curve("", curve.fpr, curve.tpr, marks, len(genuine), len(impostor))
    said = "; ".join(
        f"FNMR {rate_text(p.fnmr)} at FMR {rate_text(p.fmr_target)}" for p in calibration.points
    )
    yield plots.det([one], "DET", "False match rate (FMR)", "False non-match rate (FNMR)"), said
    low, high = float(pairs.score[known].min()), float(pairs.score[known].max())
    # Close steps on either side of each knot make the steps upright.
    score = np.linspace(low, high, 2001)
    llr = calibration.ratio(score)
    span = (calibration.llr_low * 1.05, calibration.llr_high * 1.05)
    yield (
        plots.lines(
            [plots.Curve("", score, llr)],
            "Likelihood ratio of a score",
            "Score",
            "Natural logarithm of the ratio",
            (low, high),
            span,
        ),
        f"LLR from {llr[0]:.2f} at score {low:.2f} to {llr[-1]:.2f} at {high:.2f}",
    )
    bins = reliability(calibration, pairs)
    if bins:
        marks = tuple((said, found) for said, found, _ in bins)
        said = "; ".join(f"said {one:.2f}, found {other:.2f}" for one, other in marks)
        x, y = zip(*marks)
        yield (
            plots.lines(
                [plots.Curve("", x, y, marks)],
                "Reliability (dotted: exact)",
                "Mean LLR that was said",
                "LLR that was found",
                span,
                span,
                diagonal=True,
            ),
            f"Reliability: {said}",
        )
