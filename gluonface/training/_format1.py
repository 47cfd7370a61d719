"""Checkpoints as the first versions wrote them: one .npz of the class centres per process."""

import json
import zipfile

import numpy as np

from ..errors import DataError, TrainingError

__all__ = ["load_head", "load_npz", "read_state"]


def read_state(folder):
    """Return the content of state.json.

    Raises
    ------
    DataError
        If the folder is no checkpoint of this format.
    """
    path = folder / "state.json"
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
        version = state["format"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder} is not a checkpoint: {path.name}: {error}") from error
    if version != 1:
        raise DataError(f"{folder}: state.json is of format {version}, expected 1")
    return state


def load_head(folder, state, trainer):
    """Give a trainer its classes out of the shards of any number of processes."""
    head = trainer.head
    if state["num_classes"] != head.num_classes:
        raise TrainingError(
            f"{folder} was trained on {state['num_classes']} classes, the data has "
            f"{head.num_classes}; resume with the data of the run, or start a new run "
            f"with --init {folder.parent.parent}"
        )
    if head.updates_itself:
        raise TrainingError(
            f"{folder} is a checkpoint of the old format, of a head with all classes in every "
            "step; go on with head.sample_rate=1 and head.centers=memory for a step, which "
            "writes the new format"
        )
    rows, optimizer, counts, small = {}, {}, {}, {}
    for rank in range(state["shards"]):
        arrays = load_npz(folder / f"head-{rank:04d}-of-{state['shards']:04d}.npz")
        low, high = (int(v) for v in arrays.pop("range"))
        first, last = max(head.start, low), min(head.stop, high)
        for name, array in arrays.items():
            group, key = name.split("/", 1)
            if array.ndim and array.shape[0] == high - low:
                if first < last:
                    part = array[first - low : last - low]
                    (rows if group == "head" else optimizer).setdefault(key, []).append(part)
            elif key.endswith("#count"):
                counts[key] = array
            elif group == "head" and key not in ("start", "stop"):
                small[key] = array.item() if array.ndim == 0 else array
    head.load_state_dict({**head.state_dict(), **small})
    for name, parts in rows.items():
        head.load_rows(name, head.start, np.concatenate(parts))
    if head.stop > head.start:
        state = {name: np.concatenate(parts) for name, parts in optimizer.items()}
        trainer.updates.load_state("head", {**state, **counts})


def load_npz(path):
    """Return the arrays of a .npz file.

    Raises
    ------
    DataError
        If it is missing or broken.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} of the checkpoint cannot be read: {error}") from error
