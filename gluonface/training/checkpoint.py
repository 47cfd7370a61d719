"""Checkpoints: folders written beside, renamed, and only then linked as `last` and `best`.

A checkpoint holds, without pickle::

    state.json            progress, sums of the running log interval, loss scale, versions
    config.yaml           the resolved configuration
    backbone.params       weights and running statistics, as `net.load_parameters` reads them
    backbone.npz          the optimizer's state; running statistics of further devices; the
                          auxiliary losses, which are the same on all processes
    head-0000-of-0001.npz one per process: class centres [start, stop) and their optimizer state

Learning rate, margin strength, order of the data and random numbers are functions of the
configuration and the progress, so nothing of theirs needs keeping.
"""

import json
import logging
import os
import pathlib
import shutil
import zipfile

import numpy as np

from ..errors import DataError, TrainingError

__all__ = ["Checkpoints", "load_state", "read_state", "save_state"]

logger = logging.getLogger(__name__)

FORMAT = 1
RUNNING = ("running_mean", "running_var")


class Checkpoints:
    """The folder `checkpoints` of a run: ``step-N`` folders and the links `last` and `best`.

    A link is replaced in one system call and points to a folder that is complete and synced, so
    `last` is whole whatever kills the process.

    Parameters
    ----------
    root : str or pathlib.Path
    comm : object, optional
        Communicator. All ranks call `write`; rank 0 renames and links.
    """

    def __init__(self, root, comm=None, keep=1):
        self.root = pathlib.Path(root)
        self._comm = comm
        self._keep = keep

    def path(self, name="last"):
        """Return the folder that the link `name` points to, or None."""
        link = self.root / name
        return link.resolve() if (link / "state.json").is_file() else None

    def write(self, step, fill, best=False):
        """Write a checkpoint and link it as `last`, and as `best` if told.

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

    def tidy(self, best_step):
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


def save_state(folder, trainer, config=None):
    """Write all that `trainer` needs to go on into an empty folder (rank 0: all but its shard).

    Parameters
    ----------
    folder : pathlib.Path
    trainer : Trainer
    config : Config, optional
        Kept beside for whoever finds the checkpoint alone.
    """
    from .._compat import mx
    from .recipes import save_config

    comm = trainer.comm
    start, stop = trainer.head.start, trainer.head.stop
    arrays = {f"head/{k}": np.asarray(v) for k, v in trainer.head.state_dict().items()}
    arrays.update({f"optimizer/{k}": v for k, v in trainer.updates.state("head").items()})
    np.savez(folder / _shard(comm), range=np.array([start, stop], np.int64), **arrays)
    if comm.rank != 0:
        return
    parameters = trainer.net._collect_params_with_prefix()
    first = trainer.ctx[0]
    mx.nd.save(str(folder / "backbone.params"), {k: p.data(first) for k, p in parameters.items()})
    arrays = {f"optimizer/{k}": v for k, v in trainer.updates.state("backbone").items()}
    for device, context in enumerate(trainer.ctx[1:], start=1):
        for name, parameter in parameters.items():
            if name.endswith(RUNNING):  # each device normalises, and averages, its own part
                arrays[f"device{device}/{name}"] = parameter.data(context).asnumpy()
    if trainer.auxiliary is not None:
        arrays.update({f"auxiliary/{k}": v for k, v in trainer.auxiliary.state_dict().items()})
        stored = trainer.updates.state("auxiliary")
        arrays.update({f"auxiliary_optimizer/{k}": v for k, v in stored.items()})
    np.savez(folder / "backbone.npz", **arrays)
    if config is not None:
        save_config(config, folder / "config.yaml")
    state = {
        "format": FORMAT,
        "shards": comm.size,
        "devices": len(trainer.ctx),
        "num_classes": int(trainer.head.num_classes),
        "trainer": trainer.state_dict(),
    }
    (folder / "state.json").write_text(json.dumps(state, indent=2) + "\n", encoding="utf-8")


def read_state(folder):
    """Return the content of a checkpoint's state.json, checked.

    Raises
    ------
    DataError
        If the folder is no checkpoint of a known format.
    """
    path = pathlib.Path(folder) / "state.json"
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
        version = state["format"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder} is not a checkpoint: {path.name}: {error}") from error
    if version != FORMAT:
        raise DataError(
            f"{folder} is a checkpoint of format {version}, this version reads {FORMAT}; "
            "use the gluonface version that env.json of the run names"
        )
    return state


def load_state(folder, trainer):
    """Put a checkpoint into a trainer built from the same configuration.

    Raises
    ------
    DataError
        If a file is missing or broken.
    TrainingError
        If the checkpoint is of another network, head or optimizer.
    """
    from .._compat import mx

    folder = pathlib.Path(folder)
    state = read_state(folder)
    if state["num_classes"] != trainer.head.num_classes:
        raise TrainingError(
            f"{folder} was trained on {state['num_classes']} classes, the data has "
            f"{trainer.head.num_classes}; resume with the data of the run, or start a new run "
            f"with --init {folder.parent.parent}"
        )
    try:
        arrays = mx.nd.load(str(folder / "backbone.params"))
    except mx.MXNetError as error:
        raise DataError(f"{folder / 'backbone.params'} cannot be read: {error}") from error
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
        parameter.set_data(arrays[name])
    stored = _load_npz(folder / "backbone.npz")
    for device, context in enumerate(trainer.ctx[1:], start=1):
        for name, parameter in parameters.items():
            value = stored.get(f"device{device}/{name}")
            if value is not None:  # absent when the run had fewer devices
                parameter.data(context)[:] = value
    trainer.updates.load_state("backbone", _below(stored, "optimizer/"))
    auxiliary = _below(stored, "auxiliary/")
    if trainer.auxiliary is not None:
        trainer.auxiliary.load_state_dict(auxiliary)
        trainer.updates.load_state("auxiliary", _below(stored, "auxiliary_optimizer/"))
    elif auxiliary:
        raise TrainingError(
            f"{folder} was trained with auxiliary losses ({sorted(auxiliary)[0].split('/')[0]}, "
            "...), this run has none; resume with the configuration of the run"
        )
    shard = _own_shard(folder, state["shards"], trainer)
    trainer.head.load_state_dict(_below(shard, "head/"))
    trainer.updates.load_state("head", _below(shard, "optimizer/"))
    trainer.load_state_dict(state["trainer"])


def _shard(comm, rank=None, size=None):
    rank, size = comm.rank if rank is None else rank, comm.size if size is None else size
    return f"head-{rank:04d}-of-{size:04d}.npz"


def _own_shard(folder, shards, trainer):
    """Return the arrays of this rank's class range, cut from the shards of any process count."""
    comm = trainer.comm
    if shards == comm.size:
        return _load_npz(folder / _shard(comm))
    start, stop = trainer.head.start, trainer.head.stop
    result = {}
    for rank in range(shards):
        arrays = _load_npz(folder / _shard(comm, rank, shards))
        low, high = (int(v) for v in arrays.pop("range"))
        first, last = max(start, low), min(stop, high)
        for name, array in arrays.items():
            if array.ndim and array.shape[0] == high - low:
                if first < last:
                    result.setdefault(name, []).append(array[first - low : last - low])
            else:
                result.setdefault(name, array)
    result = {k: np.concatenate(v) if isinstance(v, list) else v for k, v in result.items()}
    result["head/start"], result["head/stop"] = np.int64(start), np.int64(stop)
    return result


def _load_npz(path):
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} of the checkpoint cannot be read: {error}") from error


def _below(arrays, prefix):
    return {k[len(prefix) :]: v for k, v in arrays.items() if k.startswith(prefix)}
