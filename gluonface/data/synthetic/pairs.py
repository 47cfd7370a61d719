"""The pairs of a verification pack of synthetic faces, and the accuracy of raw pixels on them."""

from __future__ import annotations

import numpy as np

from ...errors import InputError
from .traits import KeyedRandom

__all__ = ["FOLDS", "check_pairs", "plan_pairs", "raw_pixel_accuracy"]

FOLDS = 10


def check_pairs(test_identities: int, images: int, pairs: int) -> None:
    """Raise InputError if a fold cannot have its pairs."""
    if pairs % (2 * FOLDS):
        raise InputError(
            f"pairs {pairs}: a multiple of {2 * FOLDS} was expected, so that each of the {FOLDS} "
            "folds has half same and half different"
        )
    members = test_identities // FOLDS  # of the smallest fold
    possible = min(members * images * (images - 1) // 2, members * (members - 1) // 2 * images**2)
    half = pairs // (2 * FOLDS)
    if half > possible:
        raise InputError(
            f"pairs {pairs}: a fold would need {half} pairs of a kind, and {members} identities "
            f"with {images} images make only {possible}. Ask for at most {possible * 2 * FOLDS} "
            "pairs, or for more test identities or images"
        )


def plan_pairs(
    seed: int, test_identities: int, images: int, pairs: int
) -> list[tuple[int, int, int, int]]:
    """Choose the pairs of the verification pack.

    Parameters
    ----------
    seed, test_identities, images, pairs : int
        As in `synthesize`.

    Returns
    -------
    list of tuple
        ``(identity a, image a, identity b, image b)``, the identities from 0, ten folds one
        after the other. A fold has identities of its own; its first half of pairs shows the same
        person twice, the second half two persons. No pair comes twice.
    """
    random = KeyedRandom(seed, pairs, 0x9A125)
    groups = np.array_split(np.arange(test_identities), FOLDS)
    half = pairs // (2 * FOLDS)
    plan = []

    def draw(options):
        return int(random.uniform() * options)

    for group in groups:
        seen: set[tuple[int, int, int, int]] = set()
        while len(seen) < half:
            who = int(group[draw(len(group))])
            first, second = draw(images), draw(images)
            if first != second:
                seen.add((who, min(first, second), who, max(first, second)))
        plan += sorted(seen)
        seen = set()
        while len(seen) < half:
            one, other = sorted((int(group[draw(len(group))]), int(group[draw(len(group))])))
            if one != other:
                seen.add((one, draw(images), other, draw(images)))
        plan += sorted(seen)
    return plan


def raw_pixel_accuracy(pack, kfold_accuracy) -> dict[str, float]:
    """Measure how well raw pixels separate the pairs of a pack: the baseline to beat.

    Parameters
    ----------
    pack : VerificationPack
    kfold_accuracy : callable
        `gluonface.evaluation.metrics.folds.kfold_accuracy`; passed in, since `evaluation` imports
        `data`.

    Returns
    -------
    dict
        10-fold accuracy of squared L2 distance and mean-removed cosine on grey and on colour
        pixels, and ``best`` of the four.
    """
    pixels = np.concatenate(list(pack.iter_batches(256)))
    result = {}
    for name in ("grey", "colour"):
        flat = pixels.astype(np.float32)
        if name == "grey":
            flat = flat.mean(axis=3)
        flat = flat.reshape(len(flat), -1)
        centred = flat - flat.mean(axis=1, keepdims=True)
        length = np.sqrt((centred * centred).sum(axis=1, keepdims=True))
        for how, vectors in (("cosine", centred / np.maximum(length, 1e-6)), ("l2", flat)):
            distance = ((vectors[0::2] - vectors[1::2]) ** 2).sum(axis=1).astype(np.float64)
            distance *= 3.9 / max(float(np.max(distance)), 1e-12)  # onto the grid of thresholds
            result[f"{name} {how}"] = kfold_accuracy(distance, pack.issame, FOLDS).accuracy
    result = {name: round(float(value), 4) for name, value in result.items()}
    result["best"] = max(result.values())
    return result
