"""How good a face is to compare: measurements and reasons that a person can act on.

The names of the measurements follow the components of ISO/IEC 29794-5. No unified quality score is
computed. The gate is the length of the raw embedding, compared with those of the calibration set: a
network gives short embeddings for faces in which it sees little.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from .._compat import cv2

__all__ = ["Quality", "measure", "percentile"]

# Limits beyond which a reason is given.
SMALL, TOO_SMALL = 20.0, 10.0  # distance of the eyes in the photograph, pixels
BLURRED = 0.03  # variance of the Laplacian over that of the luma
DARK, BRIGHT = 40.0, 215.0  # mean luma
TURNED = 0.35
TILTED = (0.25, 0.75)
UNSURE = 0.9
WEAK = "0.01"  # quantile of the lengths of the calibration set
FACE = (slice(20, 100), slice(16, 96))  # rows and columns of a crop of 112 that the face fills


@dataclasses.dataclass(frozen=True)
class Quality:
    """Measurements of one face.

    Attributes
    ----------
    eye_distance : float or None
        In the photograph, pixels; None for a crop whose photograph is not known.
    sharpness : float
        Variance of the Laplacian over the variance of the luma, in the middle of the crop.
    luma : float
        Mean of the crop, 0..255.
    turn : float or None
        How far the nose is from the middle of the eyes along their line, in eye distances: 0 is
        frontal.
    tilt : float or None
        Height of the nose between eyes (0) and mouth (1); 0.495 is frontal.
    confidence : float or None
        Of the detector, 0..1.
    cut : bool
        Whether a landmark is outside the photograph.
    norm : float
        Length of the raw embedding.
    percentile : float or None
        Share of the calibration set's embeddings that are shorter, 0..1; None where that is not
        known.
    reasons : tuple of str
        What a person can do something about: "too small", "blurred", "dark", "bright", "turned",
        "tilted", "unsure", "cut", "weak".
    refused : bool
        Whether the face is too small, or weak, to be enrolled.
    """

    eye_distance: float | None
    sharpness: float
    luma: float
    turn: float | None
    tilt: float | None
    confidence: float | None
    cut: bool
    norm: float
    percentile: float | None
    reasons: tuple[str, ...]
    refused: bool

    def __str__(self) -> str:
        parts = [] if self.percentile is None else [f"quality {self.percentile:.0%}"]
        text = parts[0].replace("%", " %") if parts else ""
        return ": ".join(filter(None, (text, ", ".join(self.reasons))))

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        return {**dataclasses.asdict(self), "reasons": list(self.reasons)}


def measure(
    crop: np.ndarray,
    norm: float,
    points: np.ndarray | None = None,
    size: tuple[int, int] | None = None,
    confidence: float | None = None,
    norms: Mapping[str, float] | None = None,
) -> Quality:
    """Measure one face.

    Parameters
    ----------
    crop : numpy.ndarray
        uint8 (H, W, 3) RGB, aligned.
    norm : float
        Length of the raw embedding.
    points : numpy.ndarray (5, 2), optional
        The landmarks in the photograph, pixels.
    size : (int, int), optional
        Height and width of the photograph.
    confidence : float, optional
        Of the detector.
    norms : dict, optional
        `Calibration.norm`.

    Returns
    -------
    Quality
    """
    luma = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY).astype(np.float64)
    share = crop.shape[0] / 112
    rows, columns = (slice(round(p.start * share), round(p.stop * share)) for p in FACE)
    inside = luma[rows, columns]
    spread = inside.var()
    sharpness = float(cv2.Laplacian(luma, cv2.CV_64F)[rows, columns].var() / max(spread, 1e-12))
    eyes = turn = tilt = None
    cut = False
    if points is not None:
        eyes, turn, tilt = _pose(np.asarray(points, np.float64))
    if points is not None and size is not None:
        cut = not bool(((points >= 0) & (points < (size[1], size[0]))).all())
    found = {
        "too small": eyes is not None and eyes < SMALL,
        "blurred": sharpness < BLURRED,
        "dark": luma.mean() < DARK,
        "bright": luma.mean() > BRIGHT,
        "turned": turn is not None and turn > TURNED,
        "tilted": tilt is not None and not TILTED[0] <= tilt <= TILTED[1],
        "unsure": confidence is not None and confidence < UNSURE,
        "cut": cut,
        "weak": norms is not None and norm < norms[WEAK],
    }
    return Quality(
        eye_distance=eyes,
        sharpness=sharpness,
        luma=float(luma.mean()),
        turn=turn,
        tilt=tilt,
        confidence=confidence,
        cut=cut,
        norm=float(norm),
        percentile=percentile(norm, norms),
        reasons=tuple(name for name, there in found.items() if there),
        refused=bool(found["weak"] or (eyes is not None and eyes < TOO_SMALL)),
    )


def percentile(norm: float, norms: Mapping[str, float] | None) -> float | None:
    """Return the share of a calibration set's lengths that are below `norm`, between quantiles."""
    if norms is None:
        return None
    pairs = sorted((value, float(share)) for share, value in norms.items())
    values, shares = zip(*pairs)
    return float(np.interp(norm, values, shares, left=0.0, right=1.0))


def _pose(points):
    """Return the distance of the eyes, the turn and the tilt of five landmarks."""
    eyes = points[1] - points[0]
    distance = float(np.hypot(*eyes))
    if distance < 1e-6:
        return 0.0, None, None
    along = eyes / distance
    down = np.array([-along[1], along[0]])
    nose = points[2] - (points[0] + points[1]) / 2
    mouth = (points[3] + points[4]) / 2 - (points[0] + points[1]) / 2
    height = float(mouth @ down)
    tilt = float(nose @ down) / height if abs(height) > 1e-6 else None
    return distance, abs(float(nose @ along)) / distance, tilt
