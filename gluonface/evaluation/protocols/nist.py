"""NIST's figures of a set: FNMR at FMR of all pairs or of given scores, FNIR at FPIR of a search.

The comparisons are those of `all_pairs` and `identification`. Three things differ: how errors are
stated; a failure to make a template is an error; one threshold serves all groups.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import DataError, InputError
from ..files.text_tables import read_fields
from ..metrics import bootstrap
from ..metrics.error_rates import (
    by_group,
    error_rate_above,
    error_rate_of,
    fnir_at_fpir,
    fnmr_at_fmr,
)
from ..metrics.operating_points import strict_points
from ..results.evaluation_result import EvaluationResult
from ..results.pair_result import pair_result
from ..results.tables import error_table
from . import identification
from .all_pairs import compare_all

__all__ = [
    "DEFAULT_FMRS",
    "DEFAULT_FPIRS",
    "by_group",
    "compare",
    "error_table",
    "fnir_at_fpir",
    "fnmr_at_fmr",
    "from_scores",
    "read_scores",
    "search",
]

DEFAULT_FMRS = (1e-6, 1e-5, 1e-4, 1e-3)
DEFAULT_FPIRS = (1e-3, 1e-2, 1e-1)

_FAILURES = ("fail", "-inf", "na", "nan")  # how lists write a comparison without template


def compare(
    features: npt.ArrayLike,
    identity: npt.ArrayLike,
    group: npt.ArrayLike | None = None,
    *,
    fmrs: Sequence[float] = DEFAULT_FMRS,
    reference: str | None = None,
    dtype: Any = np.float32,
    **options: Any,
) -> EvaluationResult:
    """Return FNMR at FMR of all unordered pairs of images (1:1).

    Parameters
    ----------
    features, identity, group, reference, dtype, **options
        As for `all_pairs.compare_all`.
    fmrs : sequence of float
        False match rates.

    Returns
    -------
    EvaluationResult
        ``error_rates``: of all, then of each group, at one threshold. ``subsets``: each group at a
        threshold of its own.
    """
    whole, groups = compare_all(
        features, identity, group, fars=fmrs, reference=reference, dtype=dtype, **options
    )
    errors = _in_order([whole, *groups.values()], fmrs) if groups else _own(whole, dtype)
    return _result(whole, errors, groups, reference, dtype)


def from_scores(
    score: Any,
    same: Any,
    group: Any = None,
    *,
    fmrs: Sequence[float] = DEFAULT_FMRS,
    reference: str | None = None,
    draws: int = 0,
) -> EvaluationResult:
    """Return FNMR at FMR of given scores (1:1), of whatever made them.

    Parameters
    ----------
    score : array_like, shape (n,)
        Larger is more alike; minus infinity for a failure to make a template.
    same : array_like of bool, shape (n,)
        Whether the comparison is mated.
    group : array_like, shape (n,), optional
    fmrs, reference
        As for `compare`.
    draws : int, default 0
        Bootstrap draws of comparisons. Those that share a person depend on each other, of which
        scores say nothing: the interval is too narrow then.

    Returns
    -------
    EvaluationResult
    """
    score, same = np.asarray(score), np.asarray(same)
    if score.ndim != 1 or score.shape != same.shape or score.dtype.kind not in "fiu":
        raise InputError(
            f"scores have shape {score.shape}, dtype {score.dtype}, and labels {same.shape}; "
            "expected one number and one label for each comparison"
        )
    dtype = score.dtype.type if score.dtype.kind == "f" else np.float64
    score, same = score.astype(dtype), same.astype(bool)
    whole = _summary(score, same, fmrs, draws)
    groups, errors = {}, _own(whole, dtype)
    if group is not None:
        group = np.asarray(group).astype(str)
        if group.shape != score.shape:
            raise InputError(f"there are {len(group)} groups for {len(score)} scores")
        names = np.unique(group)
        if reference is not None and reference not in names:
            raise InputError(f"group {reference!r} is unknown; there are {', '.join(names)}")
        setting = np.full(len(score), True) if reference is None else group == reference
        limits = fnmr_at_fmr(score[setting & same], score[setting & ~same], fmrs)
        sides = {None: np.ones(len(score), bool), **{name: group == name for name in names}}
        errors = [
            _rate_at(score[own], same[own], limit, draws, name)
            for limit in limits
            for name, own in sides.items()
            if same[own].any() and not same[own].all()
        ]
        groups = {
            name: _summary(score[own], same[own], fmrs, draws)
            for name, own in list(sides.items())[1:]
            if same[own].any() and not same[own].all()
        }
    elif reference is not None:
        raise InputError(f"group {reference!r} is unknown; the scores have no groups")
    return _result(whole, errors, groups, reference, dtype)


def search(
    probes: npt.ArrayLike,
    gallery: npt.ArrayLike,
    probe_ids: npt.ArrayLike,
    gallery_ids: npt.ArrayLike,
    *,
    fpirs: Sequence[float] = DEFAULT_FPIRS,
    depth: int = 1,
    **kwargs: Any,
) -> EvaluationResult:
    """Return FNIR at FPIR of probes in a gallery (1:N).

    Parameters
    ----------
    probes, gallery, probe_ids, gallery_ids, fpirs, **kwargs
        As for `identification.search_with_replicates`.
    depth : int, default 1
        "R": the mate has to be among so many first.

    Returns
    -------
    EvaluationResult
    """
    result = identification.evaluate(
        probes,
        gallery,
        probe_ids,
        gallery_ids,
        fpirs=fpirs,
        depth=depth,
        failure_score=-np.inf,
        **kwargs,
    )
    if not result.searches:
        raise InputError(
            "all probes have their identity in the gallery: FPIR needs searches for people who "
            "are not enrolled"
        )
    dtype = np.dtype(kwargs.get("dtype", np.float32)).type
    errors = [error_rate_of(s, dtype, depth=depth) for s in strict_points(result.searches)]
    return dataclasses.replace(
        result,
        protocol="NIST 1:N",
        error_rates=tuple(errors),
        settings={**result.settings, "R": depth, "accepted": "at or above the threshold"},
    )


def read_scores(
    path: str | os.PathLike[str],
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Read comparisons: score, 1 (mated) or 0, and maybe a group, a line.

    Parameters
    ----------
    path : str or pathlib.Path
        Columns by tabs, commas or blanks. A comparison without template has the score "fail".

    Returns
    -------
    score : numpy.ndarray of float64
    same : numpy.ndarray of bool
    group : numpy.ndarray of str, or None

    Raises
    ------
    DataError
        A malformed line; it is named.
    """
    what = "score, 1 (mated) or 0, and maybe a group"
    score, same, group, columns = [], [], [], None
    for number, line, fields in read_fields(path, f"a list of {what}", "\t,"):
        columns = columns or len(fields)
        try:
            if len(fields) != columns or columns not in (2, 3) or fields[1] not in ("0", "1"):
                raise ValueError
            failed = fields[0].lower() in _FAILURES
            score.append(-np.inf if failed else float(fields[0]))
            if score[-1] == np.inf or not all(fields):
                raise ValueError
        except ValueError:
            raise DataError(f"{path}, line {number}: {line[:80]!r}; expected {what}") from None
        same.append(fields[1] == "1")
        group += fields[2:]
    if not score:
        raise DataError(f"{path} lists nothing; expected {what}")
    return np.array(score), np.array(same), np.array(group) if group else None


def _summary(score, same, fmrs, draws):
    genuine, impostor = score[same], np.sort(score[~same])[::-1]
    if not len(genuine) or not len(impostor):
        raise InputError(
            f"there are {len(genuine)} mated and {len(impostor)} non-mated comparisons; both kinds "
            "are needed"
        )
    if np.isnan(score).any() or (score == np.inf).any():
        raise InputError("a score is NaN or infinite; only minus infinity, a failure, may be")
    failed = int(np.count_nonzero(np.isneginf(score)))
    notes = [f"{failed} comparisons failed: they count as not matched"] if failed else []
    result = pair_result(genuine, impostor, len(impostor), fmrs, notes)
    if draws:
        points = bootstrap.pair_intervals(result.operating_points, score, same, draws)
        result = dataclasses.replace(result, operating_points=points)
    return dataclasses.replace(result, counts={"same": len(genuine), "different": len(impostor)})


def _rate_at(score, same, limit, draws, group):
    """Return the `ErrorRate` of some comparisons at the threshold of another one."""
    accepted = score >= limit.threshold
    interval = (None, None)
    if draws:
        hits = accepted[same][:, None]
        (interval,) = bootstrap.share_intervals(hits, np.arange(len(hits)), len(hits), draws)
    masks = accepted & ~same, ~same, same & ~accepted, same
    counts = [int(np.count_nonzero(mask)) for mask in masks]
    below = np.nextafter(score.dtype.type(limit.threshold), score.dtype.type(-np.inf))
    return error_rate_above(limit.target, below, counts, interval, group=group)


def _own(result, dtype):
    """Return the errors of an result at its own thresholds."""
    points = strict_points(result.operating_points)
    return [error_rate_of(p, np.dtype(dtype).type) for p in points]


def _in_order(results, targets):
    """Return the errors at one threshold, target by target, all groups of each together."""
    return [
        error
        for target in targets
        for result in results
        for error in result.error_rates
        if error.target == target
    ]


def _result(whole, errors, groups, reference, dtype):
    setting = "of all together" if reference is None else f"of group {reference}"
    settings = {"accepted": "at or above the threshold"}
    if groups:
        settings["threshold"] = f"{setting}; below, each group's own"
    return dataclasses.replace(
        whole,
        protocol="NIST 1:1",
        error_rates=tuple(errors),
        settings=settings,
        subsets=tuple(
            dataclasses.replace(
                own, protocol="NIST 1:1", name=name, error_rates=tuple(_own(own, dtype))
            )
            for name, own in groups.items()
        ),
    )
