"""One person or two: the faces of two photographs compared, and the answer in words."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import DataError, InputError
from ..evaluation.results.tables import rate_text
from .calibration import Calibration, Decision
from .faces import CROPS, FaceReader, PhotoFace
from .trials import finite_number

__all__ = ["Comparison", "compare", "main_face", "odds_text"]

SEVERAL = ("largest", "refuse")
ALMOST = 0.5  # a second face of this share of the largest one's area is worth a warning


@dataclasses.dataclass(frozen=True, eq=False)
class Comparison:
    """The comparison of the largest face of two photographs.

    Attributes
    ----------
    names : (str, str)
    faces : (list of PhotoFace, list of PhotoFace)
        All faces of each, the compared one first.
    score : float
        Cosine.
    same : bool or None
        None: there is neither a calibration nor a threshold of the user.
    threshold : float or None
        Cosine.
    decision : Decision or None
        With its error rates, where there is a calibration.
    calibration : Calibration or None
    prior : float or None
        Probability before the faces were compared.
    undecided : str
        Why there is no decision.
    warnings : tuple of str
    """

    names: tuple[str, str]
    faces: tuple[list[PhotoFace], list[PhotoFace]]
    score: float
    same: bool | None
    threshold: float | None
    decision: Decision | None
    calibration: Calibration | None
    prior: float | None
    undecided: str
    warnings: tuple[str, ...]

    @property
    def probability(self) -> float | None:
        """The probability that it is one person, for `prior`; None without one."""
        if self.prior is None or self.decision is None:
            return None
        return self.decision.probability(self.prior)

    def __str__(self) -> str:
        return "\n".join(f"{name:<18} {value}".rstrip() for name, value in self.rows())

    def rows(self) -> list[tuple[str, str]]:
        """Return the answer as rows of a name and a value."""
        rows = []
        if self.same is not None:
            rows.append(("same person", "yes" if self.same else "no"))
        point = None if self.decision is None else self.decision.point
        if point is not None:
            limit = f"threshold {point.threshold:.3f} for {frequency(point.fmr_target)}"
        elif self.threshold is not None:
            limit = f"your threshold {self.threshold:.3f}: its error rates are not known"
        else:
            limit = ""
        rows.append(("score", f"{self.score:.3f}     {limit}".rstrip()))
        if self.undecided:
            rows.append(("no decision", self.undecided))
        if self.decision is not None and self.calibration is not None and point is not None:
            rows += self._calibrated(self.decision, self.calibration, point)
        if self.probability is not None:
            rows.append(
                ("probability", f"{_share(self.probability)} with the prior {self.prior:g}")
            )
        for name, faces in zip(self.names, self.faces):
            rows.append((name, describe(faces)))
        return rows + [("warning", text) for text in self.warnings]

    def _calibrated(self, decision, calibration, point):
        rows = [("likelihood ratio", odds_text(decision, calibration))]
        rows.append(
            (
                "false-match rate",
                f"{rate_text(point.fmr)}     95 % interval {rate_text(point.fmr_low)} to "
                f"{rate_text(point.fmr_high)}{_pairs_note(point)}",
            )
        )
        rows.append(
            (
                "missed",
                f"{rate_text(point.fnmr)}     95 % interval {rate_text(point.fnmr_low)} to "
                f"{rate_text(point.fnmr_high)}, of pairs of one person",
            )
        )
        rows.append(("measured on", measured_on(calibration, point)))
        return rows

    def to_dict(self) -> dict[str, Any]:
        """Return the answer ready for JSON."""
        decision = self.decision
        return {
            "same": self.same,
            "score": self.score,
            "threshold": self.threshold,
            "llr": decision and decision.llr,
            "capped": decision and decision.capped,
            "prior": self.prior,
            "probability": self.probability,
            "point": decision and dataclasses.asdict(decision.point),
            "calibration": self.calibration
            and {
                "set": self.calibration.set,
                "model": self.calibration.model,
                "comparison": self.calibration.comparison,
            },
            "undecided": self.undecided or None,
            "warnings": list(self.warnings),
            "pictures": [
                {"name": name, "faces": [face.to_dict() for face in faces]}
                for name, faces in zip(self.names, self.faces)
            ],
        }


def compare(
    reader: FaceReader,
    a: str | os.PathLike | bytes | np.ndarray,
    b: str | os.PathLike | bytes | np.ndarray,
    calibration: Calibration | None = None,
    fmr: float | None = None,
    threshold: float | None = None,
    prior: float | None = None,
    several: str = "largest",
    undecided: str = "there is no calibration, and no threshold was given",
) -> Comparison:
    """Compare the largest face of a photograph with that of another one.

    Parameters
    ----------
    reader : FaceReader
    a, b : str, pathlib.Path, bytes or numpy.ndarray
        See `FaceReader.read`.
    calibration : Calibration, optional
        That of the reader's model, flip form and detector: see `model_calibration`.
    fmr : float, optional
        One of its false match rates.
    threshold : float, optional
        The user's own, a cosine: there is a verdict, but its error rates are not known.
    prior : float, optional
        Probability, before the comparison, that it is one person.
    several : {"largest", "refuse"}
        Of a photograph with several faces: take the largest, or refuse it.
    undecided : str
        What to say without a calibration and without a threshold.

    Returns
    -------
    Comparison

    Raises
    ------
    InputError
        A photograph is not there, or options do not go together.
    DataError
        A photograph cannot be decoded, has no face, or several that are refused.
    """
    if several not in SEVERAL:
        raise InputError(f"several is {several!r}; expected {' or '.join(SEVERAL)}")
    if threshold is not None and (fmr is not None or prior is not None):
        raise InputError("a threshold of your own has no FMR and no probability; leave one out")
    if threshold is not None:
        threshold = finite_number(threshold, "threshold")
        if not -1 <= threshold <= 1:
            raise InputError(f"threshold is {threshold:g}; expected a cosine, -1 to 1")
    if calibration is None and threshold is None and (fmr is not None or prior is not None):
        name = "an FMR" if fmr is not None else "a probability"
        raise InputError(f"{name} needs a calibration: {undecided}")
    if calibration is not None and threshold is None:
        calibration.point(fmr)  # an error now, not after the detector has run
    if prior is not None and not 0 < finite_number(prior, "prior") < 1:
        raise InputError(f"prior is {prior!r}; expected a probability above 0 and below 1")
    names = _names_of(a, b)
    warnings: list[str] = []
    norms = None if calibration is None else calibration.norm
    faces = tuple(
        main_face(reader, photo, name, several, warnings, norms)
        for photo, name in zip((a, b), names)
    )
    one, other = (found[0].embedding.astype(np.float64) for found in faces)
    score = float(np.clip(one @ other, -1, 1))
    decision = None
    if calibration is not None and threshold is None:
        decision = calibration.decide(score, fmr)
        same: bool | None = decision.same
        limit: float | None = decision.threshold
    else:
        same, limit = None if threshold is None else score > threshold, threshold
    return Comparison(
        names=(names[0], names[1]),
        faces=(faces[0], faces[1]),
        score=score,
        same=same,
        threshold=limit,
        decision=decision,
        calibration=None if decision is None else calibration,
        prior=prior,
        undecided=undecided if same is None else "",
        warnings=tuple(warnings),
    )


def main_face(
    reader: FaceReader,
    photo: Any,
    name: str,
    several: str = "largest",
    warnings: list[str] | None = None,
    norms: Mapping[str, float] | None = None,
) -> list[PhotoFace]:
    """Return the faces of a photograph, at least one; DataError if there is none.

    With ``several="refuse"`` more than one face is an error; else a second one that is almost as
    large as the first is added to `warnings`. `norms` is that of `FaceReader.read`.
    """
    faces = reader.read(photo, norms)
    if not faces:
        raise DataError(
            f"no face was found in {name} (by {reader.input}). Try --turn if it lies on a side, "
            "or another --detector; of an aligned crop of 112x112 give --detector none"
        )
    if len(faces) > 1 and several == "refuse":
        raise DataError(
            f"{name} has {len(faces)} faces; one was expected. Cut the one that is meant out, or "
            "give --several largest"
        )
    if len(faces) > 1 and faces[1].area >= ALMOST * faces[0].area and warnings is not None:
        warnings.append(
            f"{name} has a second face that is {faces[1].area / faces[0].area:.0%} as large as the "
            "one that was compared".replace("%", " %")
        )
    return faces


def _names_of(a, b):
    """Return what two photographs are called: file names, with folders where those are equal."""
    paths = [str(p) if isinstance(p, (str, os.PathLike)) else None for p in (a, b)]
    names = [os.path.basename(path) if path else name for path, name in zip(paths, "AB")]
    return (paths[0] or "A", paths[1] or "B") if names[0] == names[1] else (names[0], names[1])


# --- words --------------------------------------------------------------------------------------


def frequency(rate: float) -> str:
    """Return a false match rate in words: 1 false match in 1,000."""
    many = 1 / rate
    whole = f"{round(many):,}" if abs(many - round(many)) < 1e-6 * many else f"{many:,.1f}"
    return f"1 false match in {whole}"


def odds_text(decision: Decision, calibration: Calibration) -> str:
    """Return a likelihood ratio as odds, with what its set can show."""
    side = "one person" if decision.llr >= 0 else "two people"
    odds = _odds(abs(decision.llr))
    if decision.capped:
        odds = f"{math.exp(abs(decision.llr)):,.0f}"
        return f"more than {odds} : 1 for {side} (this set can show no more)"
    most = math.exp(calibration.llr_high if decision.llr >= 0 else -calibration.llr_low)
    return f"{odds} : 1 for {side} (this set can show {most:,.0f} : 1 at most)"


def _odds(llr):
    value = math.exp(llr)
    if value >= 1000:
        digits = 10 ** (int(math.log10(value)) - 2)
        return f"{round(value / digits) * digits:,}" if digits >= 1 else f"{value:,.0f}"
    return f"{value:.3g}"


def _share(probability):
    """Return a probability, never rounded to 0 or 1."""
    if probability > 0.999:
        return f"1 - {1 - probability:.1e}" if probability < 1 else "1 - less than 1e-16"
    return f"{probability:.3g}"


def _pairs_note(point):
    return ", pairs as if independent" if point.interval == "exact, pairs" else ""


def measured_on(calibration: Calibration, point: Any) -> str:
    """Return the set, its size, what it supports, and how faces were compared."""
    own, how = calibration.set, calibration.comparison
    size = (
        f"{own['different']:,} pairs of different people, people not known"
        if own["people"] is None
        else f"{own['people']:,} people, {own['trials']:,} pairs of people"
    )
    rule = (
        "rule of 30 kept"
        if point.support == "30"
        else f"rule of 3: FMR {rate_text(point.fmr_target)} is an estimate"
    )
    return f"{own['name'] or 'a set'} ({size}; {rule}), flip {how['flip']}, {how['input']}"


def describe(faces: Sequence[PhotoFace]) -> str:
    """Return how many faces a photograph has and how good the compared one is."""
    first = faces[0]
    left, top, width, height = first.box
    size = f"{round(max(width, height))} px"
    if first.points is None:
        text = CROPS[:-1]
    elif len(faces) == 1:
        text = f"1 face, {size}"
    else:
        middle = f"({round(left + width / 2)}, {round(top + height / 2)})"
        text = f"{len(faces)} faces, the largest at {middle}, {size}"
    quality = str(first.quality)
    return f"{text}, {quality}" if quality else text
