"""Checkpoints: folders written under a temporary name, renamed, then linked as `last` and `best`.

A checkpoint holds, without pickle::

    manifest.json         written last: format, classes, head, optimizer, progress (step, epoch,
                          batch, images), sums of the running log interval, loss scale, seed,
                          schedule, versions, and every file with its size and SHA-256
    config.yaml           the resolved configuration
    backbone.params       weights and running statistics, as `net.load_parameters` reads them
    backbone.npz          the optimizer's state; running statistics of further devices; the
                          auxiliary losses, which are the same on all processes
    head-weight-*.npy     class centres, 65,536 classes a file whatever the number of processes
    head-momentum-*.npy   their optimizer's state, and the other arrays with a row per class

Learning rate, margin strength, order of the data, sampled classes and random numbers are functions
of the configuration and the progress, so their state is not stored. Processes on several machines
must see the same folder.
"""

from __future__ import annotations

import json
import logging
import os
import pathlib
import shutil
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from ...data.arrays import load_arrays
from ...errors import DataError, TrainingError
from ...parallel.agreement import exchange, raise_on_all_ranks
from ..config.config import config_to_dict
from .class_rows import (
    FORMAT,
    PREFIX,
    create_rows,
    file_entries,
    head_rows,
    head_state,
    load_head,
    read_manifest,
    write_rows,
)
from .manifest_form import names_of_checkpoint

if TYPE_CHECKING:
    from ...parallel.communicator import Communicator
    from ..config.config import Config
    from ..trainer import Trainer

__all__ = ["Checkpoints", "load_state", "save_state"]

logger = logging.getLogger(__name__)

RUNNING = ("running_mean", "running_var")


class Checkpoints:
    """The folder `checkpoints` of a run: ``step-N`` folders and the links `last` and `best`.

    A link is replaced in one system call and points to a folder that is complete and synced, so
    `last` is whole whatever kills the process.

    Parameters
    ----------
    root : str or pathlib.Path
    comm : Local or Horovod, optional
        All ranks call `write`; rank 0 renames and links.
    keep : int, default 1
        How many of the newest are kept, besides the best.
    """

    def __init__(self, root: str | pathlib.Path, comm: Communicator | None = None, keep: int = 1):
        self.root = pathlib.Path(root)
        self._comm = comm
        self._keep = keep

    def path(self, name: str = "last") -> pathlib.Path | None:
        """Return the folder that the link `name` points to, or None."""
        link = self.root / name
        return link.resolve() if (link / "manifest.json").is_file() else None

    def write(self, step: int, fill: Callable[[pathlib.Path], None], best: bool = False) -> None:
        """Write a checkpoint and link it as `last`, and as `best` if asked.

        Parameters
        ----------
        step : int
            For the name of its folder.
        fill : callable
            Called with the empty temporary folder, on every rank.
        best : bool, default False
        """
        temporary = self.root / f".step-{step:08d}.part"
        if self._is_first:
            self.root.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir()
        self._barrier("made")
        if not temporary.is_dir():
            raise TrainingError(
                f"{temporary}, which rank 0 has made, is not here: the run folder must be on a "
                "file system that all machines share"
            )
        fill(temporary)
        self._barrier("filled")
        if self._is_first:
            for path in temporary.iterdir():
                _sync(path)
            _sync(temporary)
            final = self._unused(step)
            os.rename(temporary, final)
            _sync(self.root)
            self._link("last", final)
            if best:
                self._link("best", final)
            self._prune()
        self._barrier("linked")

    def tidy(self, best_step: int | None) -> None:
        """Finish what a kill interrupted: relink `best`, remove folders that nothing links to.

        Parameters
        ----------
        best_step : int or None
            The best step according to the state that `last` holds.
        """
        last = self.path("last")
        if last is not None and best_step is not None and last.name.startswith(_name(best_step)):
            self._link("best", last)
        self._prune()

    @property
    def _is_first(self):
        return self._comm is None or self._comm.rank == 0

    def _barrier(self, name):
        if self._comm is not None and self._comm.size > 1:
            self._comm.barrier(f"checkpoint.{name}")

    def _unused(self, step):
        """Return a folder name of this step that is free (a replayed step may exist already)."""
        final, again = self.root / _name(step), 1
        while final.exists():
            final, again = self.root / f"{_name(step)}.{again}", again + 1
        return final

    def _link(self, name, target):
        temporary = self.root / f".{name}.link"
        if temporary.is_symlink():
            temporary.unlink()
        temporary.symlink_to(target.name, target_is_directory=True)
        os.replace(temporary, self.root / name)
        _sync(self.root)

    def _prune(self):
        kept = {path.name for path in (self.path("last"), self.path("best")) if path is not None}
        whole = sorted(self.root.glob("step-*"), key=lambda path: path.stat().st_mtime_ns)
        kept.update(path.name for path in whole[-self._keep :] if self._keep > 1)
        for path in [*self.root.glob("step-*"), *self.root.glob(".step-*.part")]:
            if path.name not in kept:
                shutil.rmtree(path, ignore_errors=True)


def _name(step):
    return f"step-{step:08d}"


def _sync(path):
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def save_state(folder: pathlib.Path, trainer: Trainer, config: Config | None = None) -> None:
    """Write the state of a trainer into an empty folder. A collective.

    Parameters
    ----------
    folder : pathlib.Path
    trainer : Trainer
    config : Config, optional
        Written as config.yaml.
    """
    comm, head = trainer.comm, trainer.head
    folder, classes, first = pathlib.Path(folder), head.num_classes, comm.rank == 0
    rows = head_rows(trainer)
    trained = trainer.state_dict()
    entries = raise_on_all_ranks(
        comm, lambda: create_rows(folder, rows, classes) if first else None, "checkpoint.created"
    )
    mine = first or head.mode == "sharded"  # otherwise rank 0 has all rows
    raise_on_all_ranks(
        comm,
        lambda: write_rows(folder, rows, classes, head.start) if mine else None,
        "checkpoint.rows",
    )
    if first:
        _save_backbone(folder, trainer, config)
    # Every rank computes the checksums of its share of the files that all ranks have written.
    names = sorted(path.name for path in folder.glob(f"{PREFIX}*.npy"))
    mine = raise_on_all_ranks(
        comm, lambda: file_entries(folder, names[comm.rank :: comm.size]), "checkpoint.read"
    )
    files = {}
    for entries_of_rank in exchange(comm, mine, "checkpoint.files"):
        files.update(entries_of_rank)
    if not first:
        return
    files.update(file_entries(folder, sorted({p.name for p in folder.iterdir()} - set(files))))
    manifest = _describe(trainer, config, rows)
    manifest.update(trainer=trained, rows=entries, files=dict(sorted(files.items())))
    text = json.dumps(manifest, indent=2) + "\n"
    (folder / "manifest.json").write_text(text, encoding="utf-8")


def _describe(trainer, config, rows):
    """Return the manifest's description of a run."""
    from ... import __version__
    from ..._compat import mx

    head, margin, comm = trainer.head, trainer.head.margin, trainer.comm
    tree = {} if config is None else config_to_dict(config)
    described = {
        "format": FORMAT,
        "versions": {"gluonface": __version__, "mxnet": mx.__version__},
        "classes": int(head.num_classes),
        "embedding_size": int(head.embedding_size),
        "head": {
            "loss": margin.name,
            "parameters": {name: getattr(margin, name) for name in margin.parameters},
            "subcenters": int(margin.subcenters),
            "state": head_state(head, rows),
            "settings": tree.get("head", {}),
        },
        "optimizer": {
            **tree.get("optimizer", {}),
            "head_counts": trainer.optimizer_step.head_counts(),
        },
        "schedule": tree.get("schedule", {}),
        "processes": comm.size,
        "devices": len(trainer.ctx),
        "accumulate": trainer.accumulate,
        "data": {**tree.get("data", {}), "images": len(trainer.loader.dataset)}
        if hasattr(trainer.loader, "dataset")
        else {},
    }
    if config is not None:
        described["seed"] = config.train.seed
    return described


def _save_backbone(folder, trainer, config):
    """Write backbone.params, backbone.npz and config.yaml, which are the same on all ranks."""
    from ...weights.mxnet_params import params_bytes
    from ..config.recipes import save_config

    parameters = trainer.net._collect_params_with_prefix()
    first = trainer.ctx[0]
    # Not by mx.nd.save: it does not report a full disk, and the cut file would become `last`.
    content = params_bytes({k: p.data(first).asnumpy() for k, p in parameters.items()})
    (folder / "backbone.params").write_bytes(content)
    arrays = {f"optimizer/{k}": v for k, v in trainer.optimizer_step.state("backbone").items()}
    for device, context in enumerate(trainer.ctx[1:], start=1):
        for name, parameter in parameters.items():
            if name.endswith(RUNNING):  # each device has those of its share of the batch
                arrays[f"device{device}/{name}"] = parameter.data(context).asnumpy()
    if trainer.auxiliary is not None:
        arrays.update({f"auxiliary/{k}": v for k, v in trainer.auxiliary.state_dict().items()})
        stored = trainer.optimizer_step.state("auxiliary")
        arrays.update({f"auxiliary_optimizer/{k}": v for k, v in stored.items()})
    np.savez(folder / "backbone.npz", **arrays)
    if config is not None:
        save_config(config, folder / "config.yaml")


def load_state(folder: pathlib.Path, trainer: Trainer) -> None:
    """Load a checkpoint into a trainer built from the same configuration, on any number of ranks.

    Raises
    ------
    DataError
        If a file is missing or broken.
    TrainingError
        If the checkpoint is of another network, head or optimizer.
    """
    folder = pathlib.Path(folder)
    stored = read_manifest(folder)
    _check_files(folder, stored, ("backbone.params", "backbone.npz"))
    with names_of_checkpoint(folder):
        load_head(folder, stored, trainer)
        _load_backbone(folder, trainer)
        trainer.load_state_dict(stored["trainer"])


def _check_files(folder, manifest, names):
    """Raise DataError if the size or checksum of a file differs from the manifest's."""
    for name in names:
        if not (folder / name).is_file():
            raise DataError(f"{folder / name} of the checkpoint is missing")
        found = file_entries(folder, [name])[name]
        if found != manifest["files"].get(name):
            raise DataError(
                f"{folder / name} is damaged: size or SHA-256 is not the one in manifest.json"
            )


def _load_backbone(folder, trainer):
    from ..._compat import mx
    from ...weights.mxnet_params import read_params

    arrays = read_params(folder / "backbone.params")
    parameters = trainer.net._collect_params_with_prefix()
    for name in sorted(set(parameters) ^ set(arrays)):
        where = "the checkpoint" if name in arrays else "the network"
        raise TrainingError(f"{folder}: {name} is in {where} alone; the model differs")
    for name, parameter in parameters.items():
        if parameter.shape != arrays[name].shape:
            raise TrainingError(
                f"{folder}: {name} has shape {arrays[name].shape}, the network's is "
                f"{parameter.shape}; the model differs"
            )
        if not np.isfinite(arrays[name]).all():
            raise DataError(f"{folder / 'backbone.params'}: {name} holds NaN or infinity")
        parameter.set_data(mx.nd.array(arrays[name], dtype=arrays[name].dtype))
    stored = load_arrays(folder / "backbone.npz")
    if not isinstance(stored, dict):
        raise DataError(f"{folder / 'backbone.npz'} holds one array; a .npz file was expected")
    for device, context in enumerate(trainer.ctx[1:], start=1):
        for name, parameter in parameters.items():
            value = stored.get(f"device{device}/{name}")
            if value is not None:  # absent when the run had fewer devices
                parameter.data(context)[:] = value
    trainer.optimizer_step.load_state("backbone", _below(stored, "optimizer/"))
    auxiliary = _below(stored, "auxiliary/")
    if trainer.auxiliary is not None:
        trainer.auxiliary.load_state_dict(auxiliary)
        trainer.optimizer_step.load_state("auxiliary", _below(stored, "auxiliary_optimizer/"))
    elif auxiliary:
        raise TrainingError(
            f"{folder} was trained with auxiliary losses ({sorted(auxiliary)[0].split('/')[0]}, "
            "...), this run has none; resume with the configuration of the run"
        )


def _below(arrays, prefix):
    return {k[len(prefix) :]: v for k, v in arrays.items() if k.startswith(prefix)}
