"""Rates of a search in a gallery: rank-k, and TPIR at FPIR. Pure NumPy."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from .operating_points import OperatingPoint, allowed_accepts, operating_points

__all__ = ["DEFAULT_FPIRS", "DEFAULT_RANKS", "RankRate", "SearchRate", "rank_rates", "search_rates"]

DEFAULT_RANKS = (1, 5, 10, 20)
DEFAULT_FPIRS = (1e-3, 1e-2, 1e-1)


@dataclasses.dataclass(frozen=True)
class RankRate:
    """Share of probes whose mate is among the `rank` best.

    Attributes
    ----------
    rank : int
        From 1.
    rate : float
        ``hits / probes``.
    hits, probes : int
    low, high : float or None
        Bootstrap confidence interval of `rate`.
    """

    rank: int
    rate: float
    hits: int
    probes: int
    low: float | None = None
    high: float | None = None


class SearchRate(OperatingPoint):
    """One true-positive identification rate at one false-positive identification rate.

    An `OperatingPoint` of searches: `tpir` is the share of mated searches whose mate is first,
    alone, and above the threshold (FNIR is 1 - TPIR), `fpir` that of non-mated searches with a
    candidate above it.
    """

    NAMES: ClassVar[dict] = {
        "tar": "tpir",
        "far": "fpir",
        "false_accepts": "false_positives",
        "same": "mated",
        "different": "nonmated",
    }
    TAR, FAR = "TPIR", "FPIR"

    @property
    def tpir(self) -> float:
        """Share of mated searches found."""
        return self.tar

    @property
    def fpir(self) -> float:
        """Share of non-mated searches with a candidate above the threshold."""
        return self.far


def rank_rates(ahead: np.ndarray, ranks: Sequence[int] = DEFAULT_RANKS) -> list[RankRate]:
    """Return the share of mated probes with a mate among the k best, for each k of `ranks`.

    Parameters
    ----------
    ahead : numpy.ndarray of int, shape (n,)
        Of each mated probe: how many entries of others score at least as high as its best mate.
    ranks : sequence of int
    """
    rates = []
    for rank in ranks:
        hits = int(np.count_nonzero(ahead < rank))
        rates.append(RankRate(int(rank), hits / max(len(ahead), 1), hits, len(ahead)))
    return rates


def search_rates(
    best: np.ndarray,
    ahead: np.ndarray,
    others: np.ndarray,
    fpirs: Sequence[float] = DEFAULT_FPIRS,
    depth: int = 1,
) -> list[SearchRate]:
    """Return TPIR at FPIR, the strict rates first.

    "strict" takes the threshold that no more than FPIR x non-mated searches exceed; "reference"
    the one of InsightFace's ``ijb_evals.py``, the int(FPIR x searches) - 1 -th best of them. Empty
    when all probes, or none, are mated.

    Parameters
    ----------
    best, ahead : numpy.ndarray, shape (n,)
        Of each mated probe: the score of its best mate, and how many entries of others score at
        least as high.
    others : numpy.ndarray, shape (m,)
        The best score of each probe that is not mated.
    fpirs : sequence of float
        False-positive identification rates.
    depth : int, default 1
        The mate has to be among so many best ("R" of NIST's reports).
    """
    others = np.sort(others)[::-1]
    best = np.where(ahead < depth, best, -np.inf)
    if not len(best) or not len(others):
        return []
    rates = [
        SearchRate(**dataclasses.asdict(point))
        for point in operating_points(best, others, len(others), fpirs)
    ]
    for target in fpirs:
        threshold = others[min(max(int(len(others) * target) - 1, 0), len(others) - 1)]
        wrong = int(np.count_nonzero(others > threshold))
        rates.append(
            SearchRate(
                target=float(target),
                tar=int(np.count_nonzero(best > threshold)) / len(best),
                far=wrong / len(others),
                threshold=float(threshold),
                false_accepts=wrong,
                allowed=allowed_accepts(target, len(others)),
                same=len(best),
                different=len(others),
                convention="reference",
            )
        )
    return rates
