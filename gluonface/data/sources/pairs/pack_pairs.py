"""Pairs of verification packs; several given together are one set, and each is a group."""

from __future__ import annotations

import pathlib
import re

import numpy as np

from ....errors import DataError, InputError
from ...verification_pack import VerificationPack
from .face_pairs import FacePairs

__all__ = ["open_packs"]


def open_packs(paths: list[pathlib.Path]) -> FacePairs:
    """Return the pairs of one or several packs.

    Parameters
    ----------
    paths : list of pathlib.Path
        The group of a pair, where there are several, is the name of its pack, without ``_test``:
        RFW is met as ``African_test.bin``, ``Asian_test.bin`` and so on.

    Raises
    ------
    InputError, DataError
        As for `VerificationPack.load`.
    """
    packs = [_load(path) for path in paths]
    bins = [data for pack in packs for data in pack.bins]
    names = [re.sub("_test$", "", pack.name) for pack in packs]
    if len(set(names)) < len(names):
        raise InputError(f"two packs have one name: {', '.join(names)}; it would be their group")
    several = len(packs) > 1
    if several:
        groups = [name for name, pack in zip(names, packs) for _ in range(len(pack))]
        folds = None
    else:
        groups, folds = packs[0].groups, packs[0].folds
    pairs = FacePairs(
        "+".join(names) if several else packs[0].name,
        np.arange(len(bins)).reshape(-1, 2),
        np.concatenate([pack.issame for pack in packs]),
        bins.__getitem__,
        lambda number: f"image {number} (pair {number // 2})",
        len(bins),
        folds=folds,
        groups=groups,
        group_lists=several or packs[0].group_lists,
        inputs={pack.name: pack.sha256 or "" for pack in packs} if several else {},
        resize=True,
    )
    pairs.sha256 = None if several else packs[0].sha256
    return pairs


def _load(path):
    try:
        return VerificationPack.load(path)
    except DataError as error:
        if path.suffix.lower() in (".pkl", ".pickle"):
            raise DataError(
                f"{error}. A pickle of pandas is not opened, for it can run code: export the table "
                "as CSV (DataFrame.to_csv), and name that"
            ) from error
        raise
