"""All-to-all verification by group, as InsightFace's IFRT / MFR test defines it. Pure NumPy.

Its images are not public; this is the protocol for sets of one's own. Unordered pairs are counted
for same and different alike (the published numbers count the different ones twice).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy.typing as npt

from ...errors import InputError
from ..metrics.operating_points import OperatingPoint, strict_points
from ..results.evaluation_result import EvaluationResult
from .all_pairs import compare_all, compare_cross

__all__ = [
    "ALL_FAR",
    "DEFAULT_FARS",
    "MASK_FAR",
    "evaluate",
    "evaluate_children",
    "evaluate_mask",
    "ranking_score",
    "with_ranking_score",
]

DEFAULT_FARS = (1e-6, 1e-5, 1e-4)
ALL_FAR = 1e-6
MASK_FAR = 1e-4  # also of the children's test


def evaluate(
    features: npt.ArrayLike,
    identity: npt.ArrayLike,
    group: npt.ArrayLike,
    *,
    fars: Sequence[float] = DEFAULT_FARS,
    **options: Any,
) -> EvaluationResult:
    """Verify all pairs within each group, and all pairs of the whole set.

    Two answers for each group: its TAR at a threshold of its own (as IFRT has it), and what the
    threshold of the whole set does to it (as NIST has it), in ``measures`` of each subset.

    Parameters
    ----------
    features, identity, group, fars, **options
        As for `all_pairs.compare_all`.

    Returns
    -------
    EvaluationResult
        Named "ALL"; ``subsets`` are the groups.
    """
    whole, groups = compare_all(features, identity, group, fars=fars, **options)
    return dataclasses.replace(
        whole,
        protocol="IFRT",
        name="ALL",
        settings={"pairs": "unordered", "threshold": "one for each group, and the one of ALL"},
        subsets=tuple(_at_one_threshold(own) for own in groups.values()),
        error_rates=(),
    )


def _at_one_threshold(group):
    """Return a group with its error rates at the threshold of ALL among its measures."""
    measures = {}
    for error in group.error_rates:
        measures[f"FMR at ALL's {error.target:g}"] = error.fmr
        measures[f"FNMR at ALL's {error.target:g}"] = error.fnmr
    return dataclasses.replace(
        group, protocol="IFRT", measures={**group.measures, **measures}, error_rates=()
    )


def ranking_score(mask: OperatingPoint, everything: OperatingPoint) -> float:
    """Return IFRT's figure for ranking, 0.25 x Mask + 0.75 x ALL, from two strict TARs.

    Parameters
    ----------
    mask, everything : OperatingPoint
        At FAR 1e-4 of the mask test and 1e-6 of ALL.
    """
    for point in (mask, everything):
        if not isinstance(point, OperatingPoint) or point.convention != "strict":
            raise InputError(f"expected a strict OperatingPoint; got {point!r}")
    return 0.25 * mask.tar + 0.75 * everything.tar


def with_ranking_score(mask: EvaluationResult, whole: EvaluationResult) -> EvaluationResult:
    """Return the result of the mask test with the `ranking_score` among its measures.

    That needs the strict TAR of `whole` at 1e-6; without it the result stays as it is.
    """
    strict = {p.target: p for p in strict_points(whole.operating_points)}
    own = {p.target: p for p in strict_points(mask.operating_points)}
    if ALL_FAR not in strict or MASK_FAR not in own:
        return mask
    score = ranking_score(own[MASK_FAR], strict[ALL_FAR])
    return dataclasses.replace(mask, measures={**mask.measures, "0.25 Mask + 0.75 ALL": score})


def evaluate_mask(
    masked: npt.ArrayLike,
    masked_identity: npt.ArrayLike,
    plain: npt.ArrayLike,
    plain_identity: npt.ArrayLike,
    *,
    fars: Sequence[float] = (MASK_FAR,),
    **kwargs: Any,
) -> EvaluationResult:
    """Verify each masked face against each unmasked one.

    Parameters
    ----------
    masked, plain : array_like, shape (n, D) and (m, D)
    masked_identity, plain_identity : array_like
    fars, **kwargs
        As for `all_pairs.compare_cross`.

    Returns
    -------
    EvaluationResult
        Named "Mask".
    """
    result = compare_cross(masked, masked_identity, plain, plain_identity, fars=fars, **kwargs)
    counts = dict(result.counts)
    counts = {"masked": counts.pop("one"), "plain": counts.pop("other"), **counts}
    return dataclasses.replace(
        result, protocol="IFRT", name="Mask", counts=counts, settings={"pairs": "masked x plain"}
    )


def evaluate_children(
    features: npt.ArrayLike,
    identity: npt.ArrayLike,
    *,
    fars: Sequence[float] = (MASK_FAR,),
    **kwargs: Any,
) -> EvaluationResult:
    """Verify all unordered pairs of the children's set; see `all_pairs.compare_all`."""
    result, _ = compare_all(features, identity, fars=fars, **kwargs)
    return dataclasses.replace(
        result, protocol="IFRT", name="Children", settings={"pairs": "unordered"}
    )
