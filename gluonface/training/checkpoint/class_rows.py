"""The arrays of a checkpoint with a row for each class, centres first, on any number of ranks."""

from __future__ import annotations

import pathlib

import numpy as np

from ...errors import InputError, TrainingError
from ...files import atomic_write
from . import sharded_npy
from .integrity import MANIFEST, read_manifest

__all__ = [
    "BANKS",
    "PREFIX",
    "create_rows",
    "export_centers",
    "head_rows",
    "head_state",
    "load_head",
    "write_rows",
]

PREFIX = "head-"  # of the files with rows
CENTERS = ("weight", "bias", "class_margin")  # what a fine-tuned run takes; not the momentum
BANKS = ("bank", "last_embedding")  # these as well; a run may have none until its loss changes


def head_rows(trainer):
    """Return {name: array-like} of all arrays with a row for each class of this rank."""
    rows = dict(trainer.head.row_arrays())
    rows.update(trainer.optimizer_step.head_rows())
    return rows


def head_state(head, rows):
    """Return the head's state without those arrays, for JSON."""
    skip = {*rows, "start", "stop"}
    state = {k: v for k, v in head.state_dict(rows=False).items() if k not in skip}
    return {k: v.tolist() if hasattr(v, "tolist") else v for k, v in state.items()}


def create_rows(folder, rows, classes):
    """Make the files of the rows of all ranks.

    Returns
    -------
    entries : dict
        Of the arrays, for the manifest.
    headers : dict
        File name -> as `sharded_npy.create`.
    """
    entries, headers = {}, {}
    for name, array in rows.items():
        row_shape, dtype = tuple(array.shape[1:]), np.dtype(array.dtype)
        headers.update(sharded_npy.create(folder, PREFIX + name, classes, row_shape, dtype))
        entries[name] = {"tail": list(row_shape), "dtype": dtype.name}
    return entries, headers


def write_rows(folder, rows, classes, start):
    """Write this rank's rows; return {file name: as of `sharded_npy.write`}."""
    written = {}
    for name, array in rows.items():
        if array.shape[0]:
            written.update(sharded_npy.write(folder, PREFIX + name, classes, start, array))
    return written


def load_head(folder, manifest, trainer):
    """Load the rows and the state of a checkpoint of the same classes into a trainer's head.

    Raises
    ------
    TrainingError
        If the head differs from the stored one.
    """
    head, stored = trainer.head, manifest["head"]
    check_same_head(folder, manifest, head)
    own = set(head.row_arrays())
    for name in sorted(own.intersection(CENTERS) - set(manifest["rows"])):
        raise TrainingError(f"{folder} has no {name} of the classes, which this head needs")
    # A head of Gluon parameters loads its state together with its rows only.
    head.load_state_dict({**head.state_dict(), **stored["state"]})
    optimizer = {}
    for name in manifest["rows"]:
        slices = sharded_npy.read(folder, PREFIX + name, manifest["classes"], head.start, head.stop)
        if name in own:
            for start, rows in slices:
                head.load_rows(name, start, rows)
        elif head.stop > head.start:
            optimizer[name] = np.concatenate([rows for _, rows in slices])
    if not head.updates_itself:
        optimizer.update(trainer.optimizer_step.shared_arrays(stored["state"]))
    steps = manifest["trainer"]["progress"]["step"]
    trainer.optimizer_step.load_head_rows(optimizer, manifest["optimizer"]["head_counts"], steps)


def check_same_head(folder, manifest, head):
    """Raise TrainingError if a head differs from a stored one in classes, size or loss."""
    stored, again = manifest["head"], "resume with the data and settings of the run"
    if manifest["classes"] != head.num_classes:
        raise TrainingError(
            f"{folder} was trained on {manifest['classes']} classes, the data has "
            f"{head.num_classes}; {again}, or start a new run with --init and --init-centers "
            "(docs: Resume and reshard)"
        )
    for what, theirs, ours in (
        ("embedding size", manifest["embedding_size"], head.embedding_size),
        ("number of centres for each class", stored["subcenters"], head.margin.subcenters),
        ("loss", stored["loss"], head.margin.name),
    ):
        if theirs != ours:
            raise TrainingError(
                f"{folder}: the model differs: its {what} is {theirs}, this run's {ours}; {again}"
            )


def export_centers(folder: str | pathlib.Path, path: str | pathlib.Path) -> tuple[int, ...]:
    """Write the class centres of a checkpoint to one ``.npy`` file, in bounded memory.

    Parameters
    ----------
    folder : pathlib.Path
        A checkpoint, or a run folder: its best checkpoint, or else its last one.
    path : pathlib.Path
        Becomes (C, D) float32, for k centres a class (C, k, D).

    Returns
    -------
    tuple of int
        The shape.
    """
    folder = find_checkpoint(folder)
    manifest = read_manifest(folder)
    classes, size = manifest["classes"], manifest["embedding_size"]
    k = manifest["head"]["subcenters"]
    shape = (classes, size) if k == 1 else (classes, k, size)
    slices = sharded_npy.read(folder, f"{PREFIX}weight", classes, 0, classes, manifest["files"])
    with atomic_write(path) as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "<f4", "fortran_order": False, "shape": shape}
        )
        for _, rows in slices:
            file.write(np.ascontiguousarray(rows, "<f4").data)
    return shape


def find_checkpoint(source: str | pathlib.Path) -> pathlib.Path:
    """Return the folder of a checkpoint: `source` itself, or the best or last of a run folder."""
    source = pathlib.Path(source).expanduser()
    for folder in (source, source / "checkpoints/best", source / "checkpoints/last"):
        if (folder / MANIFEST).is_file():
            return folder.resolve()
    raise InputError(f"{source} is neither a run folder with a checkpoint nor a checkpoint")
