"""Pair verification as LFW, CFP, AgeDB, CALFW, CPLFW and VGG2-FP use it.

Nothing here keeps state: each pack and flip form has its own result. (A metric object that is
used for several packs pools them; published flip tables were wrong for that reason.)
"""

from __future__ import annotations

import dataclasses
import math
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ...data.arrays import load_arrays
from ...data.embedding_origin import pop_origin
from ...data.pair_folds import check_folds, fair_folds
from ...errors import DataError, InputError, one_line
from ...files import sha256
from .. import metrics
from ..metrics import bootstrap, roc
from ..metrics import folds as fold_metrics
from ..metrics.group_rates import group_rates
from ..results.evaluation_result import score_histogram
from ..results.pair_result import uncertainty_notes
from ..results.verification_result import VerificationResult
from ..scores import pair_comparison
from ..scores.feature_matrix import require_finite
from ..scores.flip import FLIP_FORMS, merge_outputs

__all__ = [
    "DEFAULT_FARS",
    "evaluate",
    "evaluate_outputs",
    "evaluate_pack",
    "evaluate_variants",
    "load_outputs",
    "pack_outputs",
]

DEFAULT_FARS = (1e-1, 1e-2, 1e-3, 1e-4)
_ALIKE = 0.1  # squared distance, ten steps of the grid of thresholds; untrained networks: 0.6 to 1
_DEALT = (
    "the pairs are sorted by kind: contiguous folds would not all hold same and different pairs; "
    "each fold takes its part of either kind"
)


def evaluate(
    emb_a: npt.ArrayLike,
    emb_b: npt.ArrayLike,
    issame: npt.ArrayLike,
    folds: int | npt.ArrayLike = 10,
    *,
    fars: Sequence[float] | None = None,
    far_target: float = 1e-3,
    draws: int = 0,
    groups: Sequence[str] | None = None,
    own_folds: bool = False,
    fmrs: Sequence[float] | None = None,
) -> VerificationResult:
    """Evaluate the embeddings of image pairs.

    Embeddings are L2-normalised here, in float64; a zero vector stays zero. Distances, grids and
    rules are those of InsightFace's program, to the last bit (see
    `scores.pair_comparison.compare_pairs` for vectors next to zero), in one pass over the pairs.

    Parameters
    ----------
    emb_a, emb_b : array_like, shape (n, D)
        Row i of each is pair i. Any real dtype, any length.
    issame : array_like of bool, shape (n,)
        Whether pair i shows one person.
    folds : int or array_like of int, default 10
        So many contiguous folds; of pairs that are sorted by kind, each takes its part of the same
        and of the different ones. Or the fold of each pair.
    fars : sequence of float, optional
        False-accept rates (fractions) to give the TAR at. Default: those of 1e-1, 1e-2, 1e-3 and
        1e-4 that allow at least one of the different pairs.
    far_target : float, default 1e-3
        What val@far aims at.
    draws : int, default 0
        Bootstrap draws of pairs for 95 % intervals of the accuracy, at the folds' thresholds, and
        of the strict TARs. Pairs that share a person depend on each other, and a
        pack does not tell which do: the interval is too narrow then.
    groups : sequence of str, optional
        The group of each pair, "A | B" for images of two groups: the result has rates by group.
    own_folds : bool, default False
        Whether each group is a list of its own, with its own folds.
    fmrs : sequence of float, optional
        False match rates for the groups: see `group_rates`.

    Returns
    -------
    VerificationResult

    Raises
    ------
    InputError
        Wrong shapes, fewer pairs than folds, or a value that is not finite (the row is named).
    """
    compared = pair_comparison.compare_pairs(emb_a, emb_b)
    options = {"groups": groups, "own_folds": own_folds, "fmrs": fmrs}
    size = np.shape(emb_a)[1]
    return _evaluate(
        compared, issame, folds, size, fars=fars, far_target=far_target, draws=draws, **options
    )


def _evaluate(
    compared,
    issame,
    folds,
    embedding_size,
    *,
    fars=None,
    far_target=1e-3,
    draws=0,
    groups=None,
    own_folds=False,
    fmrs=None,
):
    """Return the result of compared pairs; the options are those of `evaluate`."""
    labels = metrics.check_issame(issame, len(compared.score))
    fold, dealt = _fold_of(labels, folds)
    accuracy = fold_metrics.kfold_accuracy(compared.distance, labels, fold)
    same = int(np.count_nonzero(labels))
    different = len(labels) - same
    # How far apart two people are, in nine of ten pairs at most; pairs of one person tell nothing.
    apart = float(np.quantile(compared.distance[~labels], 0.9)) if different else math.inf
    collapsed = compared.collapsed or apart < _ALIKE
    notes = [*_embedding_notes(compared, len(labels), apart), *([_DEALT] if dealt else [])]
    measures: dict[str, float | None] = {}
    points: tuple = ()
    curve = None
    genuine, impostor = compared.score[labels], np.sort(compared.score[~labels])[::-1]
    if same and different:
        curve = metrics.roc_curve(compared.score, labels)
        measures = {"auc": roc.curve_area(curve), "eer": roc.curve_eer(curve)}
        points, rate_notes = _operating_points(compared.score, labels, different, fars)
        if draws:
            points = bootstrap.pair_intervals(points, compared.score, labels, draws)
        notes += rate_notes
    else:
        kind, missing = ("same", "different") if same else ("different", "same")
        notes.append(
            f"all {len(labels)} pairs are {kind} pairs: TAR, AUC, EER and val need {missing} pairs "
            "too, and the accuracy is only the share called right at a threshold tuned on such "
            "pairs alone"
        )
    val, val_note = _val(compared, labels, far_target, fold)
    if val_note and same and different:
        notes.append(val_note)
    interval: tuple = (None, None)
    right = (compared.distance < accuracy.thresholds[fold]) == labels
    if draws:
        (interval,) = bootstrap.share_intervals(
            right[:, None], np.arange(len(right)), len(right), draws
        )
    by_group = None
    if groups is not None and same and different:
        own = {"distance": compared.distance, "fold": fold} if own_folds else {}
        by_group = group_rates(compared.score, labels, groups, right, fmrs=fmrs, **own)
    return VerificationResult(
        protocol="pair verification",
        operating_points=points,
        measures=measures,
        counts={"same": same, "different": different},
        notes=tuple(notes),
        roc_curve=curve,
        histogram=score_histogram(genuine, impostor),
        accuracy=accuracy.accuracy,
        accuracy_std=accuracy.std,
        accuracy_low=interval[0],
        accuracy_high=interval[1],
        fold_accuracies=tuple(accuracy.accuracies.tolist()),
        thresholds=tuple(accuracy.thresholds.tolist()),
        val=val and val.val,
        val_std=val and val.std,
        far=val and val.far,
        far_target=far_target,
        folds=len(accuracy.accuracies),
        embedding_size=embedding_size,
        collapsed=collapsed,
        distance=compared.distance,
        score=compared.score,
        issame=labels,
        fold=fold,
        groups=by_group,
    )


def evaluate_variants(
    e: npt.ArrayLike,
    f: npt.ArrayLike | None,
    issame: npt.ArrayLike,
    variants: str | Sequence[str] = ("none", "sum", "concat"),
    folds: int | npt.ArrayLike = 10,
    sides: npt.ArrayLike | None = None,
    **kwargs: Any,
) -> dict[str, VerificationResult]:
    """Evaluate flip forms from the outputs of images and of their mirrors, each on its own.

    Parameters
    ----------
    e : array_like, shape (2n, D)
        Un-normalised outputs of the images in the order a0, b0, a1, b1, ...; with `sides` in any
        order, shape (m, D).
    f : array_like, of the same shape, or None
        The same of the mirrored images; None when only "none" is asked for.
    issame : array_like of bool, shape (n,)
    variants : sequence of str, default ("none", "sum", "concat")
        Of `scores.flip.FLIP_FORMS`.
    folds : int or array_like of int, default 10
    sides : array_like of int, shape (n, 2), optional
        The rows of the two images of each pair.
    **kwargs
        As for `evaluate`.

    Returns
    -------
    dict of str to VerificationResult
        In the order of `variants`.
    """
    variants = _check_variants(variants)
    outputs = {"e": e} if f is None else {"e": e, "f": f}
    for name, output in outputs.items():
        output = outputs[name] = np.asarray(output)
        if output.ndim != 2 or (sides is None and len(output) != 2 * np.size(issame)):
            raise InputError(
                f"{name} has shape {output.shape} for {np.size(issame)} pairs; expected "
                f"({2 * np.size(issame)}, embedding size), in the order a0, b0, a1, b1, ..."
            )
        require_finite(output, name)
    xnorm = None if f is None else pair_comparison.mean_norm(*outputs.values())
    results = {}
    for variant in variants:
        embeddings = merge_outputs(outputs["e"], outputs.get("f"), variant, np.float64)
        if sides is None:
            compared = pair_comparison.compare_pairs(embeddings[0::2], embeddings[1::2])
        else:
            compared = pair_comparison.compare_rows(embeddings, np.asarray(sides))
        result = _evaluate(compared, issame, folds, embeddings.shape[1], **kwargs)
        results[variant] = dataclasses.replace(result, flip=variant, xnorm=xnorm)
    return results


def evaluate_pack(
    embedder: Any,
    pack: Any,
    variants: str | Sequence[str] = ("none", "sum"),
    batch_size: int = 64,
    progress: bool = False,
    folds: int | None = None,
    **kwargs: Any,
) -> dict[str, VerificationResult]:
    """Run a model over a verification pack and evaluate flip forms.

    Images are decoded and embedded batch by batch; images and mirrors go through the network
    in one pass, so several forms cost no more than one. "none" on its own costs half: the mirrors
    are left out, and ``xnorm`` is None.

    Parameters
    ----------
    embedder : gluonface.deploy.Embedder
        Anything with its ``embed_views`` (and, for "none" alone, ``embed``).
    pack : gluonface.data.VerificationPack, or what `gluonface.data.open_pairs` returns
    variants : sequence of str, default ("none", "sum")
    batch_size : int, default 64
    progress : bool, default False
        Show a bar on standard error.
    folds : int, optional
        Default: those that the pairs came with, or 10.
    **kwargs
        As for `evaluate`.

    Returns
    -------
    dict of str to VerificationResult

    Raises
    ------
    DataError
        The model's output for an image of the pack is not finite.
    """
    variants = _check_variants(variants)
    _folds_of(pack, folds)  # too few pairs are an error now
    e, f = pack_outputs(embedder, pack, batch_size, progress, mirror=variants != ("none",))
    return evaluate_outputs(pack, e, f, variants, folds, **kwargs)


def evaluate_outputs(
    pack: Any,
    e: npt.ArrayLike,
    f: npt.ArrayLike | None,
    variants: str | Sequence[str] = ("none", "sum"),
    folds: int | None = None,
    **kwargs: Any,
) -> dict[str, VerificationResult]:
    """Evaluate flip forms of the outputs that `pack_outputs` gave for a pack.

    Parameters
    ----------
    pack : gluonface.data.VerificationPack, or what `gluonface.data.open_pairs` returns
    e, f : numpy.ndarray, shape (2n, D)
        ``f`` may be None when only "none" is asked for.
    folds : int, optional
        Default: those that the pairs came with, or 10.
    variants, **kwargs
        As for `evaluate_variants`.

    Returns
    -------
    dict of str to VerificationResult
    """
    fold, notes = _folds_of(pack, folds)
    if kwargs.get("groups") is not None:
        kwargs.setdefault("own_folds", getattr(pack, "group_lists", False))
    sides = getattr(pack, "sides", None)
    results = evaluate_variants(e, f, pack.issame, variants, fold, sides, **kwargs)
    return {
        variant: dataclasses.replace(
            result,
            name=pack.name,
            pack_sha256=pack.sha256,
            inputs=dict(getattr(pack, "inputs", {})),
            notes=(*getattr(pack, "notes", ()), *notes, *result.notes),
        )
        for variant, result in results.items()
    }


def _folds_of(pack, folds):
    """Return the fold of each pair of a pack, and notes: its own folds, if no number is given."""
    if folds is None and pack.folds is not None:
        return pack.folds, []
    folds = 10 if folds is None else folds
    if hasattr(pack, "fair_folds"):
        fold, dealt = pack.fair_folds(folds)
        return fold, [_DEALT] if dealt else []
    check_folds(len(pack), folds)
    return folds, []


def pack_outputs(
    embedder: Any, pack: Any, batch_size: int = 64, progress: bool = False, mirror: bool = True
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the outputs (e, f) of a model for all images of a pack.

    Parameters
    ----------
    embedder, pack, batch_size, progress
        As for `evaluate_pack`.
    mirror : bool, default True
        Whether to embed the mirrored images as well.

    Returns
    -------
    e : numpy.ndarray, shape (2n, D), float32
        Un-normalised; of unit length when `mirror` is False.
    f : numpy.ndarray, shape (2n, D), float32, or None

    Raises
    ------
    DataError
        An output is not finite; the pack and the image are named.
    """
    from tqdm import tqdm

    with tqdm(
        total=getattr(pack, "num_images", 2 * len(pack)),
        desc=one_line(pack.name),
        unit="img",
        disable=not progress,
    ) as bar:

        def batches():
            for batch in pack.iter_batches(batch_size):
                yield batch
                bar.update(len(batch))  # the embedder has come back for more

        try:
            if mirror:
                e, f = embedder.embed_views(batches(), batch_size)
            else:
                e, f = embedder.embed(batches(), flip="none", batch_size=batch_size), None
        except DataError as error:
            raise DataError(f"pack {pack.name}: {error}") from error
    for array, what in ((e, "output"), (f, "output for the mirror")):
        if array is not None:
            require_finite(array, f"pack {pack.name}: the model's {what}", error=DataError)
    return e, f


def load_outputs(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read stored outputs of a model: an `.npz` file.

    Its arrays: ``e`` (2n, D), the outputs of the images in the order a0, b0, a1, b1, ...; ``f``
    (2n, D), those of the mirrored images, optional; ``issame`` (n,); ``name`` and ``sha256`` of
    the pack, optional text.

    Parameters
    ----------
    path : str or pathlib.Path

    Returns
    -------
    dict
        With the keys e, f, issame, name, sha256; None for an absent optional one. ``file`` is the
        SHA-256 of the file itself, ``origin`` the `EmbeddingOrigin` where the file has one.

    Raises
    ------
    InputError
        There is no such file.
    DataError
        It is no such archive, lacks an array or holds values that are not finite.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise InputError(f"there is no file {path}; stored embeddings (.npz) were expected")
    found = load_arrays(path)
    if isinstance(found, np.ndarray):
        raise DataError(f"{path} holds one array; expected an .npz archive of arrays")
    missing = [name for name in ("e", "issame") if name not in found]
    if missing:
        raise DataError(
            f"{path} has no array {' and no array '.join(missing)}; it holds "
            f"{', '.join(found) or 'nothing'}. Needed are e (2n, D) and issame (n,), and f (2n, D) "
            "for flip forms"
        )
    for name in ("e", "f"):
        if name in found:
            if found[name].ndim != 2:
                raise DataError(f"{path}: {name} has shape {found[name].shape}; expected (2n, D)")
            require_finite(found[name], f"{path}: {name}", error=DataError)
    origin = pop_origin(found, path)
    texts = {name: str(found[name]) if name in found else None for name in ("name", "sha256")}
    return {
        "file": sha256(path),
        "e": found["e"],
        "f": found.get("f"),
        "issame": found["issame"],
        "name": texts["name"] or path.stem,
        "sha256": texts["sha256"],
        "origin": origin,
    }


def _check_variants(variants):
    variants = (variants,) if isinstance(variants, str) else tuple(variants)
    unknown = [variant for variant in variants if variant not in FLIP_FORMS]
    if unknown or not variants:
        raise InputError(
            f"flip forms {unknown or 'none given'}: choose from {', '.join(FLIP_FORMS)}"
        )
    return tuple(dict.fromkeys(variants))


def _operating_points(score, issame, different, fars):
    """Return the OperatingPoints in both conventions and notes about their resolution."""
    if fars is None:
        # With fewer than ten different pairs none fits; the coarsest is better than nothing.
        fars = [far for far in DEFAULT_FARS if far * different >= 1 - 1e-9] or DEFAULT_FARS[:1]
    points = [
        point
        for convention in ("strict", "reference")
        for point in metrics.tar_at_far(score, issame, fars, convention)
    ]
    return tuple(points), uncertainty_notes(points, f"{different} different pairs")


def _val(compared, issame, target, folds):
    """Return (ValAtFar or None, note or None)."""
    if compared.collapsed:
        return None, "val is left out: the same embedding for every image accepts all pairs at once"
    try:
        val = fold_metrics.val_at_far(compared.distance, issame, target, folds)
    except InputError as error:
        if not 0 <= target <= 1:
            raise
        return None, f"val is left out: {error}"
    if val.far > max(10 * target, 0.01):
        return val, f"val@{target:g} was reached at far {val.far:.4f}, far above its aim"
    return val, None


def _fold_of(issame, folds):
    """Return the fold of each pair, and whether sorted pairs were dealt to so many folds."""
    if np.ndim(folds):
        return fold_metrics.fold_of_pairs(issame, folds), False
    return fair_folds(issame, folds, sorted_only=True)


def _embedding_notes(compared, count, apart):
    notes = []
    if compared.collapsed:
        notes.append(
            "COLLAPSED: the embeddings of all images are the same; the model tells nobody apart"
        )
    elif apart < _ALIKE:
        notes.append(
            "COLLAPSED: all images get nearly the same embedding: the cosine of two people is "
            f"{1 - apart / 2:.4f} or more in 9 of 10 pairs. The "
            "accuracy's thresholds lie 0.01 of squared distance apart, too coarse for that, so it "
            "may be 0.5 where the AUC is not"
        )
    elif compared.zero_rows:
        notes.append(
            f"{compared.zero_rows} of {2 * count} embeddings are zero vectors; two of them count "
            "as the same person in the accuracy, and a score of 0 everywhere else"
        )
    return notes
