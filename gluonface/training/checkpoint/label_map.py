"""Class centres of an earlier run for a new one: the same classes, more, fewer, or others."""

from __future__ import annotations

import logging
import pathlib
from typing import TYPE_CHECKING

import numpy as np

from ...errors import InputError
from .class_rows import BANKS, CENTERS, PREFIX, find_checkpoint
from .integrity import read_manifest
from .sharded_npy import RowReader

if TYPE_CHECKING:
    from ...head import PartialFC

__all__ = ["NEW", "read_label_map", "take_centers"]

logger = logging.getLogger(__name__)

NEW = -1  # a class without a centre in the earlier run
STEP = 4096  # classes held in memory at a time


def take_centers(head: PartialFC, source: str | pathlib.Path, how: str) -> int:
    """Load the centres of an earlier run into a head, class by class.

    Parameters
    ----------
    head : PartialFC
        With initial centres, which new classes keep.
    source : str or pathlib.Path
        The run folder or checkpoint.
    how : str
        ``same``: the classes are the same. ``grow``: the first classes are those of the run, the
        others are new. Else the path of a label map, see `read_label_map`.

    Returns
    -------
    int
        How many classes of all ranks have a centre of the run.

    Raises
    ------
    InputError
        If classes, embedding size or label map do not fit.
    """
    folder = find_checkpoint(source)
    manifest = read_manifest(folder)
    stored = manifest["classes"]
    for what, theirs, ours in (
        ("embedding size", manifest["embedding_size"], head.embedding_size),
        ("centres for each class", manifest["head"]["subcenters"], head.margin.subcenters),
    ):
        if theirs != ours:
            raise InputError(
                f"{folder} has {what} {theirs}, this run {ours}: its centres cannot be taken. "
                "Leave out --init-centers, or give the run the same model and loss"
            )
    old = old_classes(how, head.num_classes, stored)
    mine = old[head.start : head.stop]
    own = head.row_arrays()
    for name in (*CENTERS, *BANKS):
        if name not in own:
            continue
        if name not in manifest["rows"]:
            logger.warning("%s has no %s of its classes: they start anew", folder, name)
            continue
        reader = RowReader(folder, PREFIX + name, stored, manifest["files"])
        for first in range(0, len(mine), STEP):
            wanted = mine[first : first + STEP]
            rows = np.array(own[name][first : first + STEP])
            known = wanted != NEW
            if known.any():
                rows[known] = reader.take(wanted[known])
                head.load_rows(name, head.start + first, rows)
    _take_shared_bias(head, folder, manifest["head"])
    return int(np.count_nonzero(old != NEW))


def _take_shared_bias(head, folder, stored):
    """Load the bias that all classes of a binary loss share, if the run had the same loss."""
    if not head.margin.has_shared_bias:
        return
    value, name = stored["state"].get("shared_bias"), head.margin.name
    if value is not None and stored["loss"] == name:
        head.class_centers.load_shared("bias", float(value))
    elif head.comm.rank == 0:
        logger.warning(
            "%s was trained with %s, whose bias is no bias of %s: it starts anew",
            folder,
            stored["loss"],
            name,
        )


def old_classes(how, classes, stored):
    """Return the class of the stored run for each class of this one, `NEW` where there is none."""
    if how == "same":
        if classes != stored:
            raise InputError(
                f"--init-centers same: the run has {stored} classes, the data {classes}; give "
                "'grow' if its classes are the first of the data's, or a file that maps them"
            )
        return np.arange(classes)
    if how == "grow":
        if classes < stored:
            raise InputError(
                f"--init-centers grow: the run has {stored} classes, the data only {classes}; "
                "give a file that says which of them are left"
            )
        return np.where(np.arange(classes) < stored, np.arange(classes), NEW)
    return read_label_map(how, classes, stored)


def read_label_map(path: str | pathlib.Path, classes: int, stored: int) -> np.ndarray:
    """Read a file that says which class of an earlier run each class is.

    One line for each class: its number in the data, then its number in the run or ``new``, apart
    by blanks or a comma. ``#`` begins a comment. Classes of the run that no line names are dropped.

    Parameters
    ----------
    path : str or pathlib.Path
    classes : int
        Classes of the data; each has to have a line.
    stored : int
        Classes of the run.

    Returns
    -------
    numpy.ndarray (classes,) int64
        Class of the run, or `NEW`.

    Raises
    ------
    InputError
        If a line cannot be read, a number is no class, or a class has no line, or two.
    """
    path = pathlib.Path(path).expanduser()
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"--init-centers {path}: {error}; expected same, grow, new, or a file with a label map"
        ) from error
    unset = -2
    result = np.full(classes, unset, np.int64)
    for number, line in enumerate(lines, start=1):
        words = line.split("#")[0].replace(",", " ").split()
        if not words:
            continue
        try:
            new, old = int(words[0]), NEW if words[1] == "new" else int(words[1])
            fits = len(words) == 2 and 0 <= new < classes and (old == NEW or 0 <= old < stored)
        except (ValueError, IndexError):
            fits = False
        if not fits or words[1].startswith("-"):
            raise InputError(
                f"{path}, line {number}: {line.strip()!r}; expected a class of the data (0 to "
                f"{classes - 1}) and a class of the run (0 to {stored - 1}) or 'new'"
            )
        if result[new] != unset:
            raise InputError(f"{path}, line {number}: class {new} has a line before")
        result[new] = old
    missing = np.flatnonzero(result == unset)
    if len(missing):
        raise InputError(
            f"{path} has no line for {len(missing)} of {classes} classes, such as class "
            f"{missing[0]}; give it the class of the run, or 'new'"
        )
    return result
