"""From scores of pairs to what every protocol reports of them: rates, area, curve, histogram."""

import dataclasses
import math

from ..metrics import bootstrap, operating_points, roc
from ..metrics.operating_points import strict_points
from .evaluation_result import EvaluationResult, pair_errors, score_histogram

__all__ = ["pair_result", "result_of_scores", "uncertainty_notes"]

_FEW = 10  # below so many allowed false accepts, the error of a FAR exceeds a third


def pair_result(genuine, impostor, different, fars, notes=(), sample=None):
    """Return an `EvaluationResult` of rates and curves from scores of same and different pairs.

    Parameters
    ----------
    genuine : numpy.ndarray, shape (n,)
        All same pairs; minus infinity for failures.
    impostor : numpy.ndarray, descending
        All different pairs, or the highest of them: then there is no area and no EER.
    different : int
        How many different pairs there are.
    fars : sequence of float
    notes : sequence of str
    sample : topk.HistogramSample, optional
        For the histogram, when `impostor` is the highest alone.
    """
    points = [
        point
        for convention in ("strict", "reference")
        for point in operating_points.operating_points(
            genuine, impostor, different, fars, convention
        )
    ]
    curve = roc.roc_corners(genuine, impostor, different)
    measures, histogram = {}, None
    if len(impostor) == different:
        measures = {"auc": roc.curve_area(curve), "eer": roc.curve_eer(curve)}
        histogram = score_histogram(genuine, impostor)
    elif sample is not None and sample.counts.any():
        histogram = score_histogram(genuine, None, sample, sample.counts.sum() / different)
    return EvaluationResult(
        protocol="",
        operating_points=tuple(points),
        measures=measures,
        notes=(*notes, *uncertainty_notes(points, f"{different} different pairs")),
        roc_curve=roc.thinned(curve),
        histogram=histogram,
    )


def result_of_scores(scores, notes=(), owner=None, everything=None, draws=0):
    """Return the `EvaluationResult` of collected scores; no rates when a kind of pair is missing.

    Parameters
    ----------
    scores : pair_scores.PairScores
    notes : sequence of str
    owner : (numpy.ndarray, numpy.ndarray), optional
        Whose the images on either side are, as numbers; for a bootstrap.
    everything : function, optional
        The weight of all different pairs when each person was drawn so often, (people,) -> int.
    draws : int, default 0
    """
    genuine, rows, cols = scores.same()
    counts = {"same": len(genuine), "different": scores.different}
    if not len(genuine) or not scores.different:
        kind = "same" if not len(genuine) else "different"
        note = f"no {kind} pairs: there is no rate"
        return EvaluationResult(protocol="", counts=counts, notes=(note,))
    highest, top_rows, top_cols = scores.top.scores_and_places()
    result = pair_result(
        genuine, highest, scores.different, scores.fars, [*notes, *scores.notes], scores.sample
    )
    points = result.operating_points
    if draws:
        one, other = owner
        mate, first, second = one[rows], one[top_rows], other[top_cols]
        points = bootstrap.points_with_intervals(
            points,
            (genuine, lambda drawn: drawn[mate]),
            (highest, lambda drawn: drawn[first] * drawn[second], everything),
            int(max(one.max(), other.max())) + 1,
            draws,
        )
    return dataclasses.replace(
        result,
        operating_points=points,
        counts=counts,
        worst_errors=pair_errors((highest, top_rows, top_cols), (genuine, rows, cols)),
    )


def uncertainty_notes(points, number, rate="FAR"):
    """Return a note, in a list, about operating points that too few false accepts decide.

    Parameters
    ----------
    points : sequence of OperatingPoint
    number : str
        What there is too little of, such as "90 different pairs".
    rate : {"FAR", "FPIR"}
    """
    few = [p for p in strict_points(points) if p.allowed < _FEW]
    if not few:
        return []
    named = ", ".join(f"{p.target:g} ({p.allowed})" for p in few)
    error = f"{1 / math.sqrt(max(p.allowed for p in few) or 1):.0%}"
    word = "false accepts" if rate == "FAR" else "false positives"
    return [
        f"{number} allow few {word} at {rate} {named}: the {rate} at such a threshold is "
        f"uncertain by {error} of its value or more"
    ]
