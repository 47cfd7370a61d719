"""Checkpoints: folders written under a temporary name, renamed, then linked as `last` and `best`.

A checkpoint holds, without pickle::

    manifest.json         written last: format, classes, head, optimizer, progress (step, epoch,
                          batch, images), sums of the running log interval, loss scale, seed,
                          schedule, versions, every file with its size and SHA-256, and the
                          SHA-256 of the manifest itself
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

import logging
import os
import pathlib
import re
import shutil
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from ...data.arrays import load_arrays
from ...errors import DataError, InputError, TrainingError
from ...files import sync_folder, write_npz
from ...parallel.agreement import exchange, raise_on_all_ranks
from ...parallel.communicator import Local
from ..config.config import config_to_dict
from .class_rows import create_rows, head_rows, head_state, load_head, write_rows
from .integrity import (
    FORMAT,
    MANIFEST,
    find_damage,
    join_parts,
    meant_file,
    read_manifest,
    write_manifest,
)
from .manifest_form import names_of_checkpoint

if TYPE_CHECKING:
    from ...parallel.communicator import Communicator
    from ..config.config import Config
    from ..trainer import Trainer

__all__ = ["Checkpoints", "load_state", "save_state", "updated_itself"]

logger = logging.getLogger(__name__)

RUNNING = ("running_mean", "running_var")


class Checkpoints:
    """The folder `checkpoints` of a run: ``step-N`` folders and the links `last` and `best`.

    A link is replaced in one system call and points to a folder that is complete and synced, so
    `last` is whole whatever kills the process. A new checkpoint is read back and compared with
    what was meant before `last` moves to it and before an older one is removed.

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
        self._comm: Communicator = Local() if comm is None else comm
        self._keep = keep

    def path(self, name: str = "last") -> pathlib.Path | None:
        """Return the folder that the link `name` points to, or None."""
        link = self.root / name
        return link.resolve() if (link / MANIFEST).is_file() else None

    def start(self, step: int | None = None) -> pathlib.Path | None:
        """Return the checkpoint to resume from, or None if the run has none yet.

        Parameters
        ----------
        step : int, optional
            Default: that of the link `last`.

        Raises
        ------
        InputError
            If there is none of that step; its message lists those that are there.
        DataError
            If `last` is lost, but other checkpoints are there.
        """
        found = self._folders()
        if step is None:
            last = self.path("last")
            if last is None and (found or (self.root / "last").is_symlink()):
                raise DataError(
                    f"{self.root / 'last'} is no checkpoint with a {MANIFEST}. {self.remedy()}"
                )
            return last
        # Of a step that was replayed after an interruption the latest whole one.
        same = [path for path in found if _step(path) == step]
        whole = [path for path in same if _find_any_damage(path) is None]
        if not same:
            there = ", ".join(str(each) for each in sorted({_step(path) for path in found}))
            raise InputError(
                f"--resume-from {step}: {self.root} has no checkpoint of step {step}; "
                + (f"there are those of step {there}" if there else "there is none at all")
            )
        return (whole or same)[-1]

    def remedy(self, without: pathlib.Path | None = None) -> str:
        """Return what to do about a damaged checkpoint: from which step training can go on."""
        whole = [p for p in self._folders() if p != without and _find_any_damage(p) is None]
        steps = ", ".join(str(each) for each in sorted({_step(path) for path in whole}))
        if not steps:
            return f"No other checkpoint in {self.root} is whole; start a new run"
        return f"Go on from an older one with --resume-from STEP; whole: step {steps}"

    def write(self, step: int, fill: Callable[[pathlib.Path], None], best: bool = False) -> None:
        """Write a checkpoint, read it back and link it as `last`, and as `best` if asked.

        Parameters
        ----------
        step : int
            For the name of its folder.
        fill : callable
            Called with the empty temporary folder, on every rank.
        best : bool, default False

        Raises
        ------
        OSError, TrainingError, DataError
            If it cannot be written, or is not on the disk what was written. `last` is as before,
            and no file of the new one is left.
        """
        temporary = self.root / f".step-{step:08d}.part"

        def make():
            self.root.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir()

        try:
            self._on_first(make, "made")
            if not temporary.is_dir():
                raise TrainingError(
                    f"{temporary}, which rank 0 has made, is not here: the run folder must be on "
                    "a file system that all machines share"
                )
            fill(temporary)
            self._barrier("filled")
            self._read_back(temporary)
        except BaseException:
            if self._is_first:
                shutil.rmtree(temporary, ignore_errors=True)
            raise

        def publish():
            sync_folder(temporary)
            final = self._unused(step)
            os.rename(temporary, final)
            sync_folder(self.root)
            self._link("last", final)
            if best:
                self._link("best", final)
            self._prune()

        self._on_first(publish, "linked")

    def mark_best(self) -> None:
        """Link `last` as `best` too. A collective."""

        def link():
            last = self.path("last")
            if last is not None:
                self._link("best", last)
                self._prune()

        self._on_first(link, "best")

    def tidy(self, best_step: int | None, start: pathlib.Path | None = None) -> None:
        """Finish what a kill interrupted: relink `best`, remove folders that nothing links to.

        Parameters
        ----------
        best_step : int or None
            The best step according to the run's state.
        start : pathlib.Path, optional
            The checkpoint that training resumes from, if the user chose it: `last` moves there,
            and later ones stay until the next checkpoint is written.
        """
        if start is not None:
            self._link("last", start)
        best = self.path("best")
        if best_step is not None and (best is None or _step(best) != best_step):
            same = [path for path in self._folders() if _step(path) == best_step]
            if same:
                self._link("best", same[-1])
            elif best is not None:  # of steps that are trained anew
                (self.root / "best").unlink()
        elif best_step is None and best is not None:
            (self.root / "best").unlink()
        if start is None:
            self._prune()

    @property
    def _is_first(self):
        return self._comm.rank == 0

    def _barrier(self, name):
        if self._comm.size > 1:
            self._comm.barrier(f"checkpoint.{name}")

    def _on_first(self, function, name):
        """Call `function` on rank 0; the others wait, and raise if it does."""
        raise_on_all_ranks(
            self._comm, lambda: function() if self._is_first else None, f"checkpoint.{name}"
        )

    def _read_back(self, folder):
        """Raise on all ranks if a file is not what was written; each reads a share of them."""

        def check():
            manifest = read_manifest(folder)
            names = sorted(manifest["files"])[self._comm.rank :: self._comm.size]
            damage = find_damage(folder, manifest, names)
            if damage is not None:
                raise TrainingError(
                    f"the new checkpoint was not stored as it was written: {damage}. Check the "
                    "disk or the network file system. The last checkpoint is untouched."
                )

        raise_on_all_ranks(self._comm, check, "checkpoint.read_back")

    def _folders(self):
        """Return the folders of checkpoints, oldest step first, replayed ones after their first."""
        return sorted(
            (path for path in self.root.glob("step-*") if _step(path) is not None),
            key=lambda path: (_step(path), len(path.name), path.name),
        )

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
        place = self.root / name
        if place.is_dir() and not place.is_symlink():  # `cp -rL` has put a checkpoint in its place
            os.rename(place, self._unused(read_manifest(place)["trainer"]["progress"]["step"]))
        temporary.symlink_to(target.name, target_is_directory=True)
        os.replace(temporary, place)
        sync_folder(self.root)

    def _prune(self):
        kept = {path.name for path in (self.path("last"), self.path("best")) if path is not None}
        ours = self._folders()  # a copy that somebody keeps beside them has another name
        whole = sorted(ours, key=lambda path: path.stat().st_mtime_ns)
        kept.update(path.name for path in whole[-self._keep :] if self._keep > 1)
        for path in [*ours, *self.root.glob(".step-*.part")]:
            if path.name not in kept:
                shutil.rmtree(path, ignore_errors=True)


def _name(step):
    return f"step-{step:08d}"


def _step(path):
    """Return the step of a checkpoint's folder, or None for another name."""
    found = re.fullmatch(r"step-(\d+)(\.\d+)?", path.name)
    return int(found[1]) if found else None


def _find_any_damage(folder):
    """Return what is wrong with a checkpoint, its manifest included, or None."""
    try:
        return find_damage(folder, read_manifest(folder))
    except DataError as error:
        return str(error)


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
    entries, headers = raise_on_all_ranks(
        comm,
        lambda: create_rows(folder, rows, classes) if first else ({}, {}),
        "checkpoint.created",
    )
    mine = first or head.mode == "sharded"  # otherwise rank 0 has all rows
    written = raise_on_all_ranks(
        comm,
        lambda: write_rows(folder, rows, classes, head.start) if mine else {},
        "checkpoint.rows",
    )
    files = _entries_of_rows(folder, comm, headers, written)
    files.update(
        raise_on_all_ranks(
            comm,
            lambda: _save_backbone(folder, trainer, config) if first else {},
            "checkpoint.backbone",
        )
    )

    def finish():
        manifest = _describe(trainer, config, rows)
        manifest.update(trainer=trained, rows=entries, files=dict(sorted(files.items())))
        write_manifest(folder, manifest)

    raise_on_all_ranks(comm, lambda: finish() if first else None, "checkpoint.manifest")


def _entries_of_rows(folder, comm, headers, written):
    """Return the manifest's entries of the files of rows, from what each rank meant to write."""
    everyone = exchange(comm, [headers, written], "checkpoint.written")
    entries, shared = {}, {}
    for name in sorted(everyone[0][0]):
        header = everyone[0][0][name]
        parts = [each[1][name] for each in everyone if name in each[1]]
        if len(parts) == 1 and parts[0][0] == 0:  # one rank wrote all of it
            entries[name] = {"bytes": parts[0][1], "sha256": parts[0][2]}
        else:
            shared[name] = [header, *parts]
    mine = raise_on_all_ranks(
        comm,
        lambda: {
            name: join_parts(folder / name, shared[name])
            for name in sorted(shared)[comm.rank :: comm.size]
        },
        "checkpoint.joined",
    )
    for each in exchange(comm, mine, "checkpoint.files"):
        entries.update(each)
    return entries


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
            "updates_itself": head.updates_itself,
            "state": {**head_state(head, rows), **trainer.optimizer_step.head_shared()},
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
    """Write backbone.params, backbone.npz and config.yaml, which are the same on all ranks.

    Returns the entries of these files.
    """
    from ...weights.mxnet_params import params_bytes
    from ..config.recipes import config_text

    entries: dict = {}
    parameters = trainer.net._collect_params_with_prefix()
    first = trainer.ctx[0]
    # Not by mx.nd.save: it does not report a full disk, and the cut file would become `last`.
    content = params_bytes({k: p.data(first).asnumpy() for k, p in parameters.items()})
    with meant_file(folder / "backbone.params", entries) as file:
        file.write(content)
    arrays = {f"optimizer/{k}": v for k, v in trainer.optimizer_step.state("backbone").items()}
    for device, context in enumerate(trainer.ctx[1:], start=1):
        for name, parameter in parameters.items():
            if name.endswith(RUNNING):  # each device has those of its share of the batch
                arrays[f"device{device}/{name}"] = parameter.data(context).asnumpy()
    if trainer.auxiliary is not None:
        arrays.update({f"auxiliary/{k}": v for k, v in trainer.auxiliary.state_dict().items()})
        stored = trainer.optimizer_step.state("auxiliary")
        arrays.update({f"auxiliary_optimizer/{k}": v for k, v in stored.items()})
    with meant_file(folder / "backbone.npz", entries) as file:
        write_npz(file, arrays)
    if config is not None:
        with meant_file(folder / "config.yaml", entries) as file:
            file.write(config_text(config).encode())
    return entries


def updated_itself(folder: pathlib.Path) -> bool:
    """Return whether the head of a checkpoint updated its centres itself.

    False if the manifest is damaged, which `load_state` says.
    """
    try:
        return bool(read_manifest(folder)["head"].get("updates_itself", False))
    except DataError:
        return False


def load_state(folder: pathlib.Path, trainer: Trainer) -> None:
    """Load a checkpoint into a trainer built from the same configuration, on any number of ranks.

    Raises
    ------
    DataError
        If a file is missing, cut or altered, on any rank.
    TrainingError
        If the checkpoint is of another network, head or optimizer.
    """
    folder, comm = pathlib.Path(folder), trainer.comm

    def check():
        stored = read_manifest(folder)
        damage = find_damage(folder, stored, sorted(stored["files"])[comm.rank :: comm.size])
        if damage is not None:
            raise DataError(damage)
        return stored

    stored = raise_on_all_ranks(comm, check, "checkpoint.checked")
    with names_of_checkpoint(folder):
        trainer.resume_at(stored["trainer"])
        load_head(folder, stored, trainer)
        _load_backbone(folder, trainer)
        trainer.load_state_dict(stored["trainer"])


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
