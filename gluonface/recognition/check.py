"""How often a gallery names a stranger, measured on the gallery itself.

Each enrolled face is looked for among all other people: it is a stranger to them. The threshold
that a share f of these searches exceeds gives a false-positive identification rate (FPIR) of f.
"""

from __future__ import annotations

import dataclasses
import math
import typing

import numpy as np

from ..data.tools.duplicate_identities import find_duplicate_identities
from ..errors import DataError, InputError
from ..evaluation.metrics.operating_points import allowed_accepts, check_rate
from ..evaluation.scores.feature_matrix import unit_matrix
from .calibration import Calibration
from .gallery import Gallery, make_templates
from .trials import RULE_OF_3, RULE_OF_30, plain_rate, supports

__all__ = [
    "GalleryCheck",
    "GalleryPoint",
    "check_gallery",
    "find_strangers",
    "gallery_point",
    "read_check",
]

DEFAULT_FPIRS = (0.1, 0.01, 0.001)
STALE = 0.1  # share by which the number of people may have changed
BLOCK = 1 << 22  # scores computed together


@dataclasses.dataclass(frozen=True)
class GalleryPoint:
    """The threshold of a false-positive identification rate.

    Attributes
    ----------
    fpir : float
        The share of strangers who may be named.
    threshold : float
        Cosine. Somebody is named when the score is above it.
    source : {"gallery", "calibration"}
        What it was measured on: searches in this gallery, or pairs of the calibration at the
        false match rate ``fpir / people``.
    searches, over, allowed : int
        Searches for strangers, those above the threshold, and how many may be. 0 of "calibration".
    support : {"30", "3"} or None
        Which rule the number of people keeps.
    threshold_without : float or None
        The threshold if people who are perhaps one person were no strangers to each other.
    over_without : int or None
        Such searches above it.
    """

    fpir: float
    threshold: float
    source: str
    searches: int
    over: int
    allowed: int
    support: str | None
    threshold_without: float | None = None
    over_without: int | None = None


@dataclasses.dataclass(frozen=True)
class GalleryCheck:
    """What `check_gallery` found.

    Attributes
    ----------
    people, faces : int
    points : tuple of GalleryPoint
        The highest rate first.
    duplicates : tuple of (str, str, float)
        People who are perhaps one person, and the cosine of their templates; the nearest first.
    duplicates_above : float or None
        Templates above this cosine are listed there.
    """

    people: int
    faces: int
    points: tuple[GalleryPoint, ...]
    duplicates: tuple[tuple[str, str, float], ...]
    duplicates_above: float | None

    def to_dict(self) -> dict[str, typing.Any]:
        """Return what is stored in the gallery, ready for JSON."""
        return {
            **dataclasses.asdict(self),
            "points": [dataclasses.asdict(point) for point in self.points],
            "duplicates": [list(pair) for pair in self.duplicates],
        }


def find_strangers(
    units: np.ndarray,
    person: np.ndarray,
    template_person: np.ndarray,
    templates: np.ndarray,
    duplicates: typing.Iterable[tuple[int, int]] = (),
) -> np.ndarray:
    """Return the best cosine of each face to the template of another person.

    Parameters
    ----------
    units : numpy.ndarray, shape (n, D)
        Faces, of unit length.
    person : numpy.ndarray of int, shape (n,)
        Who is on each.
    template_person : numpy.ndarray of int, shape (m,)
        Whose each template is, ascending.
    templates : numpy.ndarray, shape (m, D)
    duplicates : iterable of (int, int)
        People who are no strangers to each other.

    Returns
    -------
    numpy.ndarray, shape (n,)
        Minus infinity where there is no other person.
    """
    near: dict[int, set[int]] = {}
    for one, other in duplicates:
        near.setdefault(one, set()).add(other)
        near.setdefault(other, set()).add(one)
    best = np.empty(len(units))
    step = max(1, BLOCK // max(1, len(templates)))
    for start in range(0, len(units), step):
        tile = units[start : start + step] @ templates.T
        for row, own in enumerate(person[start : start + step].tolist()):
            for number in (own, *near.get(own, ())):
                low, high = np.searchsorted(template_person, (number, number + 1))
                tile[row, low:high] = -np.inf
        best[start : start + step] = tile.max(axis=1, initial=-np.inf)
    return best


def strict_point(best: np.ndarray, fpir: float) -> tuple[float, int, int]:
    """Return the threshold of a rate, how many of the scores are above it, and how many may be."""
    allowed = allowed_accepts(fpir, len(best), "FPIR")
    if allowed >= len(best):
        return -1.0, len(best), allowed
    threshold = float(np.partition(best, len(best) - 1 - allowed)[len(best) - 1 - allowed])
    return threshold, int(np.count_nonzero(best > threshold)), allowed


def check_gallery(gallery: Gallery, fpirs: typing.Sequence[float] | None = None) -> GalleryCheck:
    """Measure a gallery.

    Parameters
    ----------
    gallery : Gallery
    fpirs : sequence of float, optional
        False-positive identification rates. Default: those of 0.1, 0.01 and 0.001 that the
        gallery or its calibration supports.

    Returns
    -------
    GalleryCheck

    Raises
    ------
    InputError
        A rate that neither the gallery nor its calibration supports; the message says how many
        people are needed.
    """
    people = len(gallery.names)
    if people < 2:
        raise InputError(
            f"{gallery.path} holds {people} people; strangers can be looked for among 2 or more"
        )
    stored = gallery.about["calibration"]
    calibration = None
    if stored is not None:
        calibration = Calibration.from_dict(stored, f"{gallery.path}: its calibration")
    person = gallery.person
    units = unit_matrix(gallery.outputs, str(gallery.path), np.float64)[0]
    kind = gallery.about["template"]
    template_person, templates = make_templates(gallery.outputs, person, kind, np.float64)
    numbers, sums = make_templates(gallery.outputs, person, "sum")
    best = find_strangers(units, person, template_person, templates)
    rates = DEFAULT_FPIRS if fpirs is None else tuple(fpirs)
    points: list[GalleryPoint] = []
    refused = None
    for fpir in sorted({float(check_rate(fpir, "FPIR") or fpir) for fpir in rates}, reverse=True):
        try:
            points.append(_point(gallery, best, fpir, people, calibration))
        except InputError as error:
            if fpirs is not None:
                raise
            refused = refused or error
    if not points and refused is not None:
        raise refused
    above = _duplicates_above(calibration, people, points)
    pairs = [] if above is None else find_duplicate_identities(sums, numbers, above)
    if pairs:
        without = find_strangers(
            units, person, template_person, templates, [pair[:2] for pair in pairs]
        )
        points = [_without(point, without) for point in points]
    names = gallery.names
    duplicates = tuple((names[a], names[b], cosine) for a, b, cosine in pairs)
    return GalleryCheck(people, len(gallery), tuple(points), duplicates, above)


def _point(gallery, best, fpir, people, calibration):
    if supports(fpir, people):
        support = "30" if supports(fpir, people, RULE_OF_30) else "3"
        threshold, over, allowed = strict_point(best, fpir)
        return GalleryPoint(fpir, threshold, "gallery", len(best), over, allowed, support)
    if calibration is not None and supports(fpir / people, calibration.set["trials"]):
        threshold, _ = calibration.threshold(fpir / people)
        support = "30" if supports(fpir / people, calibration.set["trials"], RULE_OF_30) else "3"
        return GalleryPoint(fpir, threshold, "calibration", 0, 0, 0, support)
    needed = math.ceil(RULE_OF_3 / fpir * (1 - 1e-12)) if fpir else 0
    other = "it has no calibration"
    if calibration is not None:
        other = f"its calibration has too few trials for FMR {plain_rate(fpir / people)}"
    raise InputError(
        f"FPIR {plain_rate(fpir)} needs {needed:,} people; {gallery.path} has {people}, and "
        f"{other}. Ask for {plain_rate(_smallest(people))} or more, or add people"
        if people >= RULE_OF_3
        else f"{gallery.path} has {people} people, too few for any FPIR, and {other}; add people"
    )


def _smallest(people):
    """Return the smallest rate that so many people support, rounded up to two digits."""
    rate = RULE_OF_3 / people
    power = math.floor(math.log10(rate)) - 1
    return min(1.0, float(f"{math.ceil(rate / 10.0**power * (1 - 1e-9)) * 10.0**power:.2g}"))


def _duplicates_above(calibration, people, points):
    """Return the cosine above which two templates are perhaps of one person."""
    if calibration is not None:
        threshold = calibration.thresholds[-1][1] if calibration.thresholds else None
        if supports(1 / people, calibration.set["trials"]):
            threshold = calibration.threshold(1 / people)[0]
    else:
        threshold = points[-1].threshold if points else None
    # The rule of `find_duplicate_identities`: more than 0, less than 1.
    return None if threshold is None else min(max(threshold, 1e-3), 1 - 1e-6)


def _without(point, best):
    if point.source != "gallery":
        return point
    threshold, over, _ = strict_point(best, point.fpir)
    return dataclasses.replace(point, threshold_without=threshold, over_without=over)


def read_check(gallery: Gallery) -> GalleryCheck | None:
    """Return the check that is stored in a gallery; None if there is none.

    Raises
    ------
    DataError
        It cannot be read.
    """
    stored = gallery.about["check"]
    if stored is None:
        return None
    try:
        points = tuple(GalleryPoint(**point) for point in stored["points"])
        duplicates = tuple((str(a), str(b), float(c)) for a, b, c in stored["duplicates"])
        found = GalleryCheck(
            int(stored["people"]),
            int(stored["faces"]),
            points,
            duplicates,
            stored["duplicates_above"],
        )
        if not all(math.isfinite(p.threshold) and 0 <= p.fpir <= 1 for p in points):
            raise ValueError("a point is not finite")
    except (TypeError, KeyError, ValueError) as error:
        raise DataError(
            f"{gallery.path}: the check in it cannot be read ({str(error)[:80]}); make it again "
            f"with gluonface gallery check {gallery.path}"
        ) from None
    return found


def gallery_point(
    gallery: Gallery, fpir: float | None = None
) -> tuple[GalleryPoint | None, str | None]:
    """Return the threshold to name people by, and why it may be wrong.

    Parameters
    ----------
    gallery : Gallery
    fpir : float, optional
        Default: the smallest rate of the check that keeps the rule of 30, else the rule of 3.

    Returns
    -------
    point : GalleryPoint or None
        None without a check, when no `fpir` is asked for.
    stale : str or None
        A sentence, when the number of people has changed by more than a tenth since the check.

    Raises
    ------
    InputError
        There is no check, or it has no such rate.
    """
    found = read_check(gallery)
    again = f"gluonface gallery check {gallery.path}"
    if found is None or not found.points:
        if fpir is None:
            return None, None
        raise InputError(
            f"{gallery.path} was never checked; {again} --fpir {plain_rate(fpir)} measures the "
            "threshold of that rate"
        )
    if fpir is None:
        reliable = [p for p in found.points if p.support == "30"] or list(found.points)
        point = min(reliable, key=lambda p: p.fpir)
    else:
        check_rate(fpir, "FPIR")
        same = [p for p in found.points if math.isclose(p.fpir, fpir, rel_tol=1e-9)]
        if not same:
            known = ", ".join(plain_rate(p.fpir) for p in found.points)
            raise InputError(
                f"{gallery.path} was checked for FPIR {known}, not {plain_rate(fpir)}; {again} "
                f"--fpir {plain_rate(fpir)} measures that"
            )
        point = same[0]
    now, stale = len(gallery.names), None
    if abs(now - found.people) > STALE * found.people:
        stale = (
            f"the threshold was measured with {found.people} people, there are {now} now: "
            f"its rate no longer holds. {again} measures it again"
        )
    return point, stale
