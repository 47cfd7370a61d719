"""What a score means: thresholds with measured error rates, and likelihood ratios.

A calibration belongs to one model (by the SHA-256 of its weights), one flip form and one way of
cutting faces out. It is refused for any other.

`trials` says which rates a set supports.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import math
import os
import pathlib
import platform
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import __version__
from ..errors import DataError, InputError
from ..files import write_json
from . import ratio
from .trials import (
    INTERVALS,
    CalibrationPoint,
    Trials,
    check_people,
    check_rate,
    check_scores,
    finite_number,
    plain_rate,
    require_support,
)

__all__ = ["Calibration", "CalibrationPoint", "Decision"]

FORMAT, VERSION = "gluonface-calibration", 1
DRAWS = 1000
MOST_LLR = 100.0  # natural logarithm: more pairs than there can be


@dataclasses.dataclass(frozen=True)
class Decision:
    """The answer for one pair of faces.

    Attributes
    ----------
    same : bool
        Whether the score is above the threshold.
    score, threshold : float
        Cosines.
    llr : float
        Natural logarithm of the likelihood ratio, within what the set can show.
    capped : bool
        Whether the set cannot show a larger ratio (or a smaller one).
    point : CalibrationPoint
        The error rates at the threshold.
    """

    same: bool
    score: float
    threshold: float
    llr: float
    capped: bool
    point: CalibrationPoint

    def probability(self, prior: float) -> float:
        """Return the probability that it is one person, for a `prior` probability in 0..1.

        The prior is what is known without the faces: 1 / N for one of N people who are equally
        likely.
        """
        prior = finite_number(prior, "prior")
        if not 0 < prior < 1:
            raise InputError(f"prior is {prior!r}; expected a probability above 0 and below 1")
        odds = math.log(prior) - math.log1p(-prior) + self.llr
        return 1 / (1 + math.exp(-odds)) if odds > 0 else math.exp(odds) / (1 + math.exp(odds))


@dataclasses.dataclass(frozen=True, eq=False)
class Calibration:
    """Thresholds with error rates, and a map from scores to likelihood ratios.

    `fit` makes one from scores, `load` reads one. The fields are those of the stored file.

    Attributes
    ----------
    model : dict
        ``name``, ``sha256`` (by the kind of file: params, onnx, int8), ``embedding_size``.
    comparison : dict
        ``flip``, ``template`` and ``input``: how the faces were cut out.
    set : dict
        ``name``, ``kind``, ``sha256``, ``people`` (None: not known), ``same``, ``different``,
        ``trials``, ``failures``.
    points : tuple of CalibrationPoint
        The highest rate first.
    thresholds : tuple of (float, float)
        False match rates and their thresholds in finer steps, down to the smallest rate that the
        set supports. See `threshold`.
    map : LogisticMap or StepsMap
    llr_low, llr_high : float
        What the set can show.
    cllr, min_cllr : float
        Cost of the likelihood ratios on this set, bits, and of the best rising map of it.
    held_out_cllr : dict
        Cost of either map on people that it did not see.
    norm : dict or None
        Quantiles of the lengths of raw embeddings: ``"0.01"``, ``"0.05"``, ..., ``"0.99"``.
    made : str
        The time, UTC.
    versions : dict
    """

    model: dict[str, Any]
    comparison: dict[str, Any]
    set: dict[str, Any]
    points: tuple[CalibrationPoint, ...]
    thresholds: tuple[tuple[float, float], ...]
    map: ratio.RatioMap
    llr_low: float
    llr_high: float
    cllr: float
    min_cllr: float
    held_out_cllr: dict[str, float | None]
    norm: dict[str, float] | None
    made: str
    versions: dict[str, str]

    @classmethod
    def fit(
        cls,
        score: npt.ArrayLike,
        issame: npt.ArrayLike,
        people: Any = None,
        fmr: float | Sequence[float] | None = None,
        *,
        model: Mapping[str, Any] | None = None,
        comparison: Mapping[str, Any] | None = None,
        set: Mapping[str, Any] | None = None,
        norm: npt.ArrayLike | None = None,
        draws: int = DRAWS,
    ) -> Calibration:
        """Calibrate from the scores of pairs whose people are known to be the same or not.

        Parameters
        ----------
        score : array_like, shape (n,)
            Cosines. Minus infinity for a pair that could not be compared, a failure.
        issame : array_like of bool, shape (n,)
        people : (array_like, array_like), optional
            Who is on the first and on the second image of each pair: names or numbers, (n,) each.
            Without them pairs count as if they were independent.
        fmr : float or sequence of float, optional
            False match rates. Default: those of 0.1, 0.01, ... 1e-6 that the set supports.
        model, comparison, set : dict, optional
            What the calibration is of; see the class.
        norm : array_like, optional
            Lengths of the raw embeddings.
        draws : int, default 1000
            Of people, for the intervals.

        Returns
        -------
        Calibration

        Raises
        ------
        InputError
            Wrong shapes or types, labels that contradict `people`, or a rate that the set is too
            small for; the message says how many people are needed.
        DataError
            Scores of one person are not higher than others'.
        """
        scores, labels = check_scores(score, issame)
        pairs = Trials(scores, labels, check_people(people, labels))
        name = (set or {}).get("name") or "this set"
        rates = pairs.supported_rates(fmr, name)
        usable = np.isfinite(scores)
        pairs_used = pairs.part(usable)
        fold = pairs_used.folds()
        chosen, costs = ratio.choose_map(
            pairs_used.score, pairs_used.issame, lambda mask: pairs_used.part(mask).bounds(), fold
        )
        low, high = pairs_used.bounds()
        llr = np.clip(chosen(pairs_used.score), low, high)
        return cls(
            model={"name": None, "sha256": {}, "embedding_size": None, **(model or {})},
            comparison={"flip": None, "template": "image", "input": None, **(comparison or {})},
            set={
                "name": None,
                "kind": "scores",
                "sha256": None,
                **(set or {}),
                "people": None if pairs.people is None else pairs.count,
                "same": int(np.count_nonzero(labels)),
                "different": int(np.count_nonzero(~labels)),
                "trials": pairs.trials,
                "failures": int(np.count_nonzero(~usable)),
            },
            points=pairs.points(rates, draws),
            thresholds=pairs.thresholds(),
            map=chosen,
            llr_low=low,
            llr_high=high,
            cllr=ratio.cllr(llr[pairs_used.issame], llr[~pairs_used.issame]),
            min_cllr=ratio.min_cllr(pairs_used.score, pairs_used.issame),
            held_out_cllr=costs,
            norm=None if norm is None else _quantiles(norm),
            made=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            versions={
                "gluonface": __version__,
                "numpy": np.__version__,
                "python": platform.python_version(),
            },
        )

    # --- answers ----------------------------------------------------------------------------------

    def decide(self, score: float, fmr: float | None = None) -> Decision:
        """Return whether a score says that two faces are one person.

        Parameters
        ----------
        score : float
            Cosine, -1..1.
        fmr : float, optional
            One of the false match rates of `points`. Default: `default_point`.

        Raises
        ------
        InputError
            A rate that the calibration does not have; those that it has are named.
        """
        value = float(ratio.check_score(finite_number(score, "score")))
        point = self.point(fmr)
        plain = float(self.map(value))
        llr = min(max(plain, self.llr_low), self.llr_high)
        return Decision(value > point.threshold, value, point.threshold, llr, plain != llr, point)

    def ratio(self, score: npt.ArrayLike) -> np.ndarray:
        """Return the log likelihood ratios of scores, natural, within what the set can show.

        Parameters
        ----------
        score : array_like
            Cosines.

        Returns
        -------
        numpy.ndarray
            float64, the same shape. Positive: rather one person.
        """
        return np.clip(self.map(ratio.check_score(score)), self.llr_low, self.llr_high)

    @property
    def default_point(self) -> CalibrationPoint:
        """The point with the smallest rate that keeps the rule of 30, else the rule of 3."""
        for support in ("30", "3"):
            found = [point for point in self.points if point.support == support]
            if found:
                return min(found, key=lambda point: point.fmr_target)
        raise DataError("the calibration has no point")  # `read` and `fit` do not make such a one

    def point(self, fmr: float | None = None) -> CalibrationPoint:
        """Return the point of a false match rate; InputError names those that there are."""
        if fmr is None:
            return self.default_point
        rate = check_rate(fmr)
        for point in self.points:
            if math.isclose(point.fmr_target, rate, rel_tol=1e-9):
                return point
        known = ", ".join(plain_rate(point.fmr_target) for point in self.points)
        try:
            require_support(rate, self.set["trials"], self.set["people"], self._set_name)
        except InputError as error:
            raise InputError(f"{error} The calibration has FMR {known}.") from None
        raise InputError(
            f"the calibration has FMR {known}, not {plain_rate(rate)}; make one with "
            f"gluonface calibrate --fmr {plain_rate(rate)}"
        )

    def threshold(self, fmr: float) -> tuple[float, float]:
        """Return the threshold of any rate that the set supports, and the rate it was made for.

        Between two stored rates it is that of the smaller one, so that no more pairs match than
        asked for.

        Parameters
        ----------
        fmr : float
            False match rate, 0..1.

        Returns
        -------
        threshold, fmr : float

        Raises
        ------
        InputError
            The set is too small for the rate. `thresholds[-1]` is the strictest that it supports.
        """
        rate = check_rate(fmr)
        require_support(rate, self.set["trials"], self.set["people"], self._set_name)
        stored = [(point.fmr_target, point.threshold) for point in self.points]
        below = [pair for pair in (*self.thresholds, *stored) if pair[0] <= rate * (1 + 1e-9)]
        if not below:
            raise InputError(
                f"the calibration has no threshold for FMR {plain_rate(rate)}; make it again with "
                f"gluonface calibrate --fmr {plain_rate(rate)}"
            )
        found = max(below, key=lambda pair: pair[0])
        return found[1], found[0]

    @property
    def _set_name(self):
        return self.set.get("name") or "its set"

    # --- files ------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Return what is stored, ready for JSON."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        fields["points"] = [dataclasses.asdict(point) for point in self.points]
        fields["thresholds"] = [list(pair) for pair in self.thresholds]
        ratio_map = fields.pop("map")
        head = ("model", "comparison", "set", "points", "thresholds")
        return {
            "format": FORMAT,
            "version": VERSION,
            **{name: fields.pop(name) for name in head},
            "ratio": ratio_map.to_dict(),
            **fields,
        }

    def save(self, path: str | os.PathLike) -> None:
        """Write the calibration as JSON, whole or not at all."""
        write_json(path, self.to_dict())

    @classmethod
    def load(cls, path: str | os.PathLike) -> Calibration:
        """Read a calibration from its own file.

        Raises
        ------
        InputError
            There is no such file.
        DataError
            It is no calibration, or a value in it cannot be; the value is named.
        """
        path = pathlib.Path(path)
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise InputError(
                f"the calibration {path} cannot be read: {error.strerror}; gluonface calibrate "
                "makes one"
            ) from None
        except UnicodeDecodeError:
            raise DataError(f"{path} is no text; expected a calibration in JSON") from None
        try:
            stored = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise DataError(
                f"{path} is no JSON ({str(error)[:100]}); expected a calibration"
            ) from None
        return cls.from_dict(stored, str(path))

    @classmethod
    def from_dict(cls, stored: Any, where: str = "the calibration") -> Calibration:
        """Return the calibration of its stored form; errors as of `load`, they name `where`."""
        if not isinstance(stored, dict) or stored.get("format") != FORMAT:
            raise DataError(f"{where} is no calibration: it has no format {FORMAT!r}")
        if stored.get("version") != VERSION:
            raise DataError(
                f"{where} has version {stored.get('version')!r}; this program reads {VERSION}. "
                "Make it again with gluonface calibrate."
            )
        return cls(**_Reader(where).fields(stored))


class _Reader:
    """Checks what is stored: each error names the file and the value."""

    def __init__(self, where):
        self.where = where

    def fields(self, stored):
        """Return the arguments of `Calibration`."""
        own = self._dict(stored, "set", keys=("name", "kind", "sha256", "people"))
        people = own.get("people")
        for name in ("same", "different", "trials", "failures"):
            self._count(own.get(name), f"set.{name}")
        if people is not None:
            self._count(people, "set.people")
        self._texts(own, "set", ("name", "kind", "sha256"))
        model = self._dict(stored, "model", keys=("name", "embedding_size"))
        self._texts(model, "model", ("name",))
        digests = self._dict(model, "sha256", "model.")
        for role, digest in digests.items():
            if not isinstance(digest, str) or not re.fullmatch("[0-9a-f]{64}", digest):
                raise self._error(f"model.sha256.{role}", digest, "64 hexadecimal digits")
        names = ("flip", "template", "input")
        comparison = self._dict(stored, "comparison", keys=names)
        self._texts(comparison, "comparison", names)
        low, high = self._number(stored, "llr_low"), self._number(stored, "llr_high")
        if not -MOST_LLR < low < 0 < high < MOST_LLR:
            raise self._error("llr_low and llr_high", (low, high), "one below 0 and one above")
        costs = {
            name: None if value is None else self._finite(value, f"held_out_cllr.{name}")
            for name, value in self._dict(stored, "held_out_cllr").items()
        }
        norm = None if stored.get("norm") is None else self._norm(self._dict(stored, "norm"))
        return {
            "model": model,
            "comparison": comparison,
            "set": own,
            "points": self._points(stored.get("points")),
            "thresholds": self._thresholds(stored.get("thresholds", [])),
            "map": ratio.read_map(stored.get("ratio"), f"{self.where}: ratio"),
            "llr_low": low,
            "llr_high": high,
            **{name: self._number(stored, name) for name in ("cllr", "min_cllr")},
            "held_out_cllr": costs,
            "norm": norm,
            "made": str(stored.get("made")),
            "versions": self._dict(stored, "versions"),
        }

    def _points(self, stored):
        if not isinstance(stored, list) or not stored:
            raise self._error("points", stored, "a list of one or more")
        points = []
        names = [field.name for field in dataclasses.fields(CalibrationPoint)]
        for number, one in enumerate(stored):
            where = f"points[{number}]"
            if not isinstance(one, dict):
                raise self._error(where, one, "an object")
            values = {}
            for name in names:
                if name in ("interval", "support"):
                    allowed = INTERVALS if name == "interval" else ("30", "3")
                    if one.get(name) not in allowed:
                        raise self._error(f"{where}.{name}", one.get(name), " or ".join(allowed))
                    values[name] = one[name]
                elif name == "false_matches":
                    values[name] = self._count(one.get(name), f"{where}.{name}")
                else:
                    values[name] = self._finite(one.get(name), f"{where}.{name}")
                    if name != "threshold" and not 0 <= values[name] <= 1:
                        raise self._error(f"{where}.{name}", values[name], "a share, 0 to 1")
            if not values["fmr_target"] > 0:
                raise self._error(f"{where}.fmr_target", 0, "a rate above 0")
            points.append(CalibrationPoint(**values))
        self._falling([(p.fmr_target, p.threshold) for p in points], "points")
        return tuple(points)

    def _thresholds(self, stored):
        if not isinstance(stored, list) or any(
            not isinstance(pair, list) or len(pair) != 2 for pair in stored
        ):
            raise self._error("thresholds", stored, "a list of [rate, threshold]")
        pairs = tuple(
            (self._finite(rate, "thresholds"), self._finite(limit, "thresholds"))
            for rate, limit in stored
        )
        self._falling(pairs, "thresholds")
        return pairs

    def _norm(self, stored):
        """Return quantiles of lengths by their shares, which are texts."""
        if set(stored) != {f"{share:g}" for share in NORM_QUANTILES}:
            raise self._error("norm", list(stored), f"the quantiles {NORM_QUANTILES}")
        norm = {name: self._finite(value, f"norm.{name}") for name, value in stored.items()}
        values = [norm[f"{share:g}"] for share in NORM_QUANTILES]
        if values[0] < 0 or any(b < a for a, b in zip(values, values[1:])):
            raise self._error("norm", values, "quantiles that do not fall")
        return norm

    def _falling(self, pairs, name):
        """Check that rates fall, and thresholds do not, from pair to pair."""
        for (rate, limit), (next_rate, next_limit) in zip(pairs, pairs[1:]):
            if not (next_rate < rate and next_limit >= limit):
                raise DataError(
                    f"{self.where}: {name} has threshold {limit:g} for FMR {rate:g} and then "
                    f"{next_limit:g} for {next_rate:g}; a smaller rate needs a higher threshold"
                )

    def _dict(self, stored, name, before="", keys=()):
        value = stored.get(name)
        if not isinstance(value, dict):
            raise self._error(before + name, value, "an object")
        missing = [key for key in keys if key not in value]
        if missing:
            raise self._error(f"{before}{name}", list(value), f"{missing[0]!r} in it")
        return value

    def _texts(self, stored, where, names):
        for name in names:
            if not isinstance(stored[name], (str, type(None))):
                raise self._error(f"{where}.{name}", stored[name], "text")

    def _number(self, stored, name):
        return self._finite(stored.get(name), name)

    def _finite(self, value, name):
        return ratio.stored_number(value, f"{self.where}: {name}")

    def _count(self, value, name):
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 53:
            raise self._error(name, value, "a whole number, 0 or more")
        return value

    def _error(self, name, value, expected):
        return DataError(f"{self.where}: {name} is {str(value)[:80]!r}; expected {expected}")


NORM_QUANTILES = (0.01, 0.05, *(n / 10 for n in range(1, 10)), 0.95, 0.99)


def _quantiles(norm):
    norm = np.asarray(norm, np.float64)
    return {f"{q:g}": float(v) for q, v in zip(NORM_QUANTILES, np.quantile(norm, NORM_QUANTILES))}
