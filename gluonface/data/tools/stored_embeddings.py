"""Reading class centres and embeddings from where training and `gluonface embed` leave them."""

import json
import pathlib
import re

import numpy as np

from ...errors import DataError, InputError
from ..arrays import load_arrays

__all__ = ["load_centers", "load_embeddings"]


def load_embeddings(path, labels=None):
    """Read embeddings from a file of `gluonface embed` or a .npy file.

    Parameters
    ----------
    path : str or pathlib.Path
        A .npz file with the array ``embedding``, or a .npy file, which is memory-mapped.
    labels : array (n,), optional
        Those of the set; a different array ``label`` in the file is an error.

    Returns
    -------
    array (n, D)

    Raises
    ------
    InputError
        No such file; labels of another set.
    DataError
        A file that cannot be read or holds no such array.
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


def load_centers(path):
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
        A file that is broken or of the wrong shape; shards that are missing or do not join.
    """
    path = pathlib.Path(path)
    if not path.is_dir():
        found = load_arrays(path)
        if isinstance(found, dict):
            raise InputError(f"{path} is a .npz file; a run folder or a .npy file was expected")
        found = _numbers(found, path, (2, 3))
        return found[:, None] if found.ndim == 2 else found
    places = (path / "checkpoints" / "best", path / "checkpoints" / "last", path)
    for folder in places:
        blocks = sorted(folder.glob("head-weight-*.npy"))
        if blocks:
            return _join_blocks(folder, blocks)
        shards = sorted(folder.glob("head-*-of-*.npz"))
        if shards:
            return _join_shards(folder, shards)
    raise InputError(
        f"{path} has no checkpoint with class centres (head-weight-000000000.npy); the folder of "
        "a training run was expected"
    )


def _join_blocks(folder, blocks):
    """Read the files of a head, named by the first class of each, into one array."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        classes, size = int(manifest["classes"]), int(manifest["embedding_size"])
    except (OSError, ValueError, KeyError, TypeError) as error:
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


def _join_shards(folder, shards):
    """Read the shards of a checkpoint of format 1, each with its range of classes."""
    size = int(re.search(r"-of-(\d+)\.npz$", shards[0].name)[1])
    parts, end, shape = [], 0, None
    for rank in range(size):
        path = folder / f"head-{rank:04d}-of-{size:04d}.npz"
        if not path.is_file():
            raise DataError(f"{folder} lacks {path.name}; copy the whole checkpoint")
        state = load_arrays(path)
        try:
            start, stop = (int(value) for value in state["range"])
            weight = state["head/weight"]
            head = int(state["head/num_classes"]), int(state["head/embedding_size"])
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{path} is not the class centres of a checkpoint: {error}") from error
        shape = shape or head
        width = weight.shape[1] if weight.ndim == 2 else 0
        if start != end or len(weight) != stop - start or not width or width % head[1]:
            raise DataError(
                f"{path} holds {weight.shape} centres of the classes {start} to {stop}; classes "
                f"from {end} on, of {head[1]} values each, were expected. Its shards do not join"
            )
        if head != shape or (parts and parts[0].shape[1] != width):
            raise DataError(f"{path} belongs to another checkpoint than {shards[0].name}")
        parts.append(weight)
        end = stop
    if end != shape[0]:
        raise DataError(f"{folder} has centres of {end} classes, {shape[0]} were expected")
    return np.concatenate(parts).reshape(shape[0], -1, shape[1])


def _numbers(array, path, dimensions):
    if array.ndim not in dimensions or array.dtype.kind not in "fiu" or not array.size:
        raise DataError(
            f"{path} holds {array.dtype} {array.shape}; numbers of "
            f"{' or '.join(str(n) for n in dimensions)} dimensions were expected"
        )
    return array
