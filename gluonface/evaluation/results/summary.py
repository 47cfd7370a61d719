"""From scores to what every protocol reports of its pairs: rates, area, curve, histogram."""

import dataclasses
import math

from ..metrics import operating_points, roc
from .outcome import Outcome, count_scores

__all__ = ["few_accepts", "summarize", "with_spans"]

_FEW = 10  # below so many allowed false accepts, the error of a FAR exceeds a third


def summarize(genuine, impostor, different, fars, notes=(), sample=None):
    """Return an `Outcome` of rates and curves from scores of same and of different pairs.

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
    sample : tails.Sample, optional
        For the histogram, when `impostor` is the highest alone.
    """
    points = [
        point
        for convention in ("strict", "reference")
        for point in operating_points.operating_points(
            genuine, impostor, different, fars, convention
        )
    ]
    notes = list(notes)
    notes += few_accepts(points, f"{different} different pairs")
    curve = roc.roc_corners(genuine, impostor, different)
    measures, histogram = {}, None
    if len(impostor) == different:
        measures = {"auc": roc.curve_area(curve), "eer": roc.curve_eer(curve)}
        histogram = count_scores(genuine, impostor)
    elif sample is not None and sample.counts.any():
        histogram = count_scores(genuine, None, sample, sample.counts.sum() / different)
    return Outcome(
        protocol="",
        points=tuple(points),
        measures=measures,
        notes=tuple(notes),
        roc=roc.thinned(curve),
        histogram=histogram,
    )


def few_accepts(points, number, rate="FAR"):
    """Return a note, in a list, about operating points that too few false accepts decide.

    Parameters
    ----------
    points : sequence of OperatingPoint
    number : str
        What there is too little of, such as "90 different pairs".
    rate : {"FAR", "FPIR"}
    """
    few = [p for p in points if p.convention == "strict" and p.allowed < _FEW]
    if not few:
        return []
    named = ", ".join(f"{p.target:g} ({p.allowed})" for p in few)
    error = f"{1 / math.sqrt(max(p.allowed for p in few) or 1):.0%}"
    word = "false accepts" if rate == "FAR" else "false positives"
    return [
        f"{number} allow few {word} at {rate} {named}: the {rate} at such a threshold is "
        f"uncertain by {error} of its value or more"
    ]


def with_spans(points, spans):
    """Return operating points with the interval of each strict one, `spans` by target."""
    return tuple(
        dataclasses.replace(p, low=spans[p.target][0], high=spans[p.target][1])
        if p.convention == "strict" and p.target in spans
        else p
        for p in points
    )
