"""Reading class centres of a training run and embeddings of `gluonface embed`."""

from __future__ import annotations

import logging
import pathlib

import numpy as np

from ...errors import DataError, InputError
from ...files import StrPath, parse_json
from ..arrays import load_arrays
from ..embedding_origin import ModelIdentity, pop_origin

__all__ = ["load_centers", "load_embeddings"]

logger = logging.getLogger(__name__)


def load_embeddings(
    path: StrPath, labels: np.ndarray | None = None, model: ModelIdentity | None = None
) -> np.ndarray:
    """Read embeddings from a file of `gluonface embed` or a .npy file.

    Parameters
    ----------
    path : str or pathlib.Path
        A .npz file with the array ``embedding``, or a .npy file, which is memory-mapped.
    labels : array (n,), optional
        The labels of the set; other values of ``label`` in the file are an error.
    model : ModelIdentity, optional
        The model that the class centres are of. Embeddings of other weights are an error.

    Returns
    -------
    array (n, D)

    Raises
    ------
    InputError
        When there is no such file, or its labels are of another set.
    DataError
        When it cannot be read, holds no such array, or embeddings of another model.
    """
    path = pathlib.Path(path)
    found = load_arrays(path, mapped=True)
    if not isinstance(found, dict):
        return _numbers(found, path, (2,))
    if "embedding" not in found:
        raise DataError(
            f"{path} holds {', '.join(sorted(found)) or 'nothing'}; the array embedding was "
            "expected, as `gluonface embed` writes it"
        )
    origin = pop_origin(found, path)
    if model is not None and origin is None:
        logger.warning("%s does not say which model made its embeddings: not checked", path)
    elif model is not None and origin is not None:
        origin.require_model(model, path, "the run of the class centres")
    embeddings, stored = _numbers(found["embedding"], path, (2,)), found.get("label")
    if labels is not None and stored is not None and len(stored) == len(labels) == len(embeddings):
        differ = np.flatnonzero(stored != labels)
        if len(differ):
            row = int(differ[0])
            raise InputError(
                f"{path} is of another set: row {row} has the label {stored[row]}, the image has "
                f"{labels[row]}; embed this very set"
            )
    return embeddings


def load_centers(path: StrPath) -> np.ndarray:
    """Read class centres from a run folder, a checkpoint or a .npy file.

    Parameters
    ----------
    path : str or pathlib.Path
        A run folder (its best checkpoint, else the last), a checkpoint folder, or a .npy file
        with an array (C, D) or (C, K, D).

    Returns
    -------
    numpy.ndarray (C, K, D)

    Raises
    ------
    InputError
        When nothing is there.
    DataError
        When a file is broken or has the wrong shape, or files are missing or do not join.
    """
    path = pathlib.Path(path)
    if not path.is_dir():
        found = load_arrays(path)
        if isinstance(found, dict):
            raise InputError(f"{path} is a .npz file; a run folder or a .npy file was expected")
        found = _numbers(found, path, (2, 3))
        return found[:, None] if found.ndim == 2 else found
    for folder in (path / "checkpoints" / "best", path / "checkpoints" / "last", path):
        blocks = sorted(folder.glob("head-weight-*.npy"))
        if blocks:
            return _join_blocks(folder, blocks)
    raise InputError(
        f"{path} has no checkpoint with class centres (head-weight-000000000.npy); the folder of "
        "a training run was expected"
    )


def _join_blocks(folder, blocks):
    """Read the files of a head, named by the first class of each, into one array."""
    try:
        manifest = parse_json((folder / "manifest.json").read_bytes(), "it")
        classes, size = int(manifest["classes"]), int(manifest["embedding_size"])
    except (OSError, DataError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise DataError(f"{folder} is not a whole checkpoint: manifest.json: {error}") from error
    parts, end = [], 0
    for path in blocks:
        rows = _numbers(load_arrays(path, mapped=True), path, (2,))
        if int(path.stem.rsplit("-", 1)[1]) != end or rows.shape[1] % size:
            raise DataError(
                f"{path} holds {rows.shape} numbers; centres of the classes from {end} on, of "
                f"{size} values each, were expected. The files of {folder} do not join"
            )
        if parts and parts[0].shape[1] != rows.shape[1]:
            raise DataError(f"{path} belongs to another checkpoint than {blocks[0].name}")
        parts.append(rows)
        end += len(rows)
    if end != classes:
        raise DataError(f"{folder} has centres of {end} classes, {classes} were expected")
    return np.concatenate(parts).reshape(classes, -1, size)


def _numbers(array, path, dimensions):
    if array.ndim not in dimensions or array.dtype.kind not in "fiu" or not array.size:
        raise DataError(
            f"{path} holds {array.dtype} {array.shape}; numbers of "
            f"{' or '.join(str(n) for n in dimensions)} dimensions were expected"
        )
    return array
