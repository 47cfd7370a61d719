"""A whole run: train as a configuration says, verify, save, export."""

from __future__ import annotations

import importlib.util
import logging
import os
import pathlib
import sys

from .._compat import mx
from ..errors import DataError, GluonfaceError, InputError, TrainingError, install_command
from ..parallel.agreement import agree, exchange, raise_on_all_ranks
from ..parallel.communicator import Local
from ..parallel.liveness import PeerMonitor
from . import callbacks
from .build import build, check_setup, total_steps, with_batch_norms, without_init
from .callbacks.csv_files import read_history
from .checkpoint.checkpoints import Checkpoints, load_state, updated_itself
from .config.config import Config
from .devices import STARTED, communicator
from .run_folder import RunFolder
from .trainer import Trainer

__all__ = ["check", "export", "train"]

logger = logging.getLogger(__name__)


def train(
    config: Config,
    run: str | pathlib.Path,
    resume: bool = False,
    argv: list[str] | None = None,
    progress: bool | None = None,
    resume_from: int | None = None,
) -> Trainer:
    """Train as a configuration says and export the result.

    Parameters
    ----------
    config : Config
    run : str or pathlib.Path
        The run folder.
    resume : bool, default False
        Go on from the last checkpoint; from the start when there is none yet.
    argv : list of str, optional
        The command, for command.txt.
    progress : bool, optional
        Show a progress bar; default: when standard error is a terminal.
    resume_from : int, optional
        The step of the checkpoint to resume from; default: that of the last one.

    Returns
    -------
    Trainer
        `stop_reason` is None when the run is complete.

    Raises
    ------
    InputError
        If another process trains in the folder, or there is no checkpoint of that step.
    DataError
        If a file of the checkpoint is cut or altered; the message says which others are whole.
    """
    folder = RunFolder(run)
    comm = communicator(config.train.parallel)
    resume = resume or resume_from is not None
    try:
        raise_on_all_ranks(comm, lambda: comm.rank or folder.enter(resume), "training.new")
        return _train(config, folder, comm, resume, resume_from, argv, progress)
    finally:
        folder.end()


def _train(config, folder, comm, resume, resume_from, argv, progress):
    """Train in a folder that this process holds."""
    if comm.rank:
        logging.getLogger("gluonface").setLevel(logging.WARNING)  # rank 0 logs for all
    checkpoints = Checkpoints(folder.checkpoints, comm, config.checkpoint.keep)
    start = raise_on_all_ranks(
        comm, lambda: checkpoints.start(resume_from) if resume else None, "training.start"
    )
    if comm.size > 1:  # the folder may not be shared
        agree(comm, "training.resumed", {"checkpoint": start and start.name})
    packs: list = []
    checks = [lambda: packs.extend(_packs(config))]
    if start is None:
        trainer = build(config, comm, folder.path, checks)
    else:
        # A head that updated itself goes on so, at any sample rate: the other way rounds otherwise.
        itself = raise_on_all_ranks(comm, lambda: updated_itself(start), "training.head_kind")
        trainer = build(without_init(config), comm, folder.path, checks, itself)
    config = with_batch_norms(config, trainer.net)
    trainer.callbacks.extend(_callbacks(config, folder.path, checkpoints, comm, progress, packs))
    command = sys.argv if argv is None else argv
    raise_on_all_ranks(comm, lambda: comm.rank or folder.begin(config, command), "training.begun")
    raise_on_all_ranks(comm, lambda: comm.rank == 0 or folder.require_begun(), "training.seen")
    peers = PeerMonitor(comm)
    try:
        if start is not None:
            _load(checkpoints, start, trainer, folder.path)
            logger.info("resuming at step %d of %d", trainer.progress.step, trainer.steps)
        elif resume:
            logger.info("no checkpoint in %s yet; starting from step 0", folder.path)
        if comm.rank == 0:
            checkpoints.tidy(trainer.progress.best_step, start if resume_from is not None else None)
        _log_setup(config, trainer)
        if config.export.onnx and not _has_onnx():
            logger.warning(
                "there will be no ONNX file: onnx is not installed (%s)", install_command("onnx")
            )
        try:
            trainer.fit()
        except (mx.MXNetError, GluonfaceError) as error:
            if not isinstance(error, mx.MXNetError) and type(error) is not GluonfaceError:
                raise  # its message is complete
            raise _error_of_ended_rank(error, peers, comm, trainer.progress.step) from error
        if trainer.stop_reason is None and comm.rank == 0:
            export(config, folder.path, trainer, checkpoints)
    except Exception as error:
        folder.note(f"stopped at step {trainer.progress.step}: {error}")
        raise
    finally:
        peers.close()
    return trainer


def check(config: Config, run: str | pathlib.Path | None = None, resume: bool = False) -> dict:
    """Check all that `train` checks before its first step, without writing anything.

    Parameters
    ----------
    config : Config
    run : str or pathlib.Path, optional
        The run folder.
    resume : bool, default False
        Whether the run is to be resumed.

    Returns
    -------
    dict
        ``classes``, ``images``, ``steps``, ``steps_per_epoch`` and ``devices``.

    Raises
    ------
    InputError, DataError
        With all that is wrong, not the first alone.
    """
    also = [lambda: _packs(config)]
    if run is not None and not resume:
        also.append(RunFolder(run).require_new)
    started = any(os.environ.get(name, "").isdigit() for name in STARTED)
    comm = communicator(config.train.parallel) if started else Local()
    if resume:
        config = without_init(config)
    loader, _, ctx, *_ = check_setup(config, comm, also)
    return {
        "classes": loader.dataset.num_classes,
        "images": len(loader.dataset),
        "steps": total_steps(config, loader),
        "steps_per_epoch": len(loader) // config.train.accumulate,
        "devices": [str(context) for context in ctx],
    }


def _load(checkpoints, start, trainer, folder):
    """Load a checkpoint, and the result of its verification if the run got that far."""
    comm = trainer.comm
    try:
        load_state(start, trainer)
    except DataError as error:
        if comm.rank:
            raise
        raise DataError(f"{error}. {checkpoints.remedy(start)}") from error
    # A checkpoint is written before its verification, whose result is in verification.json.
    progress = trainer.progress
    mine = raise_on_all_ranks(
        comm, lambda: [] if comm.rank else read_history(folder), "training.verified"
    )
    known = next((entry for entry in mine if entry["step"] == progress.step), None)
    accuracy = exchange(comm, known and known["accuracy"], "training.best")[0]
    if accuracy is not None:
        trainer.set_evaluation(accuracy, known["packs"] if known else {})


def _error_of_ended_rank(error, peers, comm, step):
    """Return an error that names the ranks whose process has ended, or `error` if none has."""
    ranks = peers.ended() if comm.size > 1 else []
    if not ranks:
        return error
    peers.end_without_report()
    several = len(ranks) > 1
    return TrainingError(
        f"rank{'s' if several else ''} {', '.join(map(str, ranks))} ended while rank {comm.rank} "
        f"was at step {step + 1}; what {'they' if several else 'it'} wrote last says why, unless "
        "killed. The last checkpoint is whole: go on with --resume"
    )


def export(config, run, trainer, checkpoints):
    """Export the chosen weights to ``RUN/export/model-*``."""
    from ..deploy import export_model

    best = checkpoints.path("best") if config.export.checkpoint == "best" else None
    which, step = "last", trainer.progress.step
    if best is not None and trainer.progress.best_step != trainer.progress.step:
        trainer.net.load_parameters(str(best / "backbone.params"), ctx=trainer.ctx)
        which, step = "best", trainer.progress.best_step
    history = trainer.last_evaluation
    metrics = {}
    if history is not None and history["step"] == step:
        metrics = {name: {"accuracy": p["accuracy"]} for name, p in history["packs"].items()}
    elif which == "best":
        metrics = {"mean": {"accuracy": trainer.progress.best}}
    card = {
        "training_data": str(pathlib.Path(config.data.path).resolve()),
        "metrics": metrics,
        "training": {
            "checkpoint": which,
            "step": step,
            "recipe": config.recipe,
            "loss": config.loss.name,
            "flip": config.eval.flip,
        },
    }
    onnx = config.export.onnx and _has_onnx()
    export_model(trainer.net, run / "export" / "model", onnx=onnx, card=card)


def _callbacks(config, run, checkpoints, comm, progress, packs):
    """Return the callbacks of a run, in this order: checks, logs, saving, verification, plots."""
    first = comm.rank == 0
    found = [callbacks.NanGuard(), callbacks.StopSignals()]
    if first:
        found += [callbacks.ProgressBar(progress), callbacks.ConsoleLog(), callbacks.CsvFiles(run)]
        if config.log.tensorboard:
            found.append(callbacks.TensorBoard(run))
    verification = None
    if packs:
        if comm.size > 1:
            agree(comm, "eval.packs", {pack.name: pack.sha256 for pack in packs})
        e = config.eval
        verification = callbacks.Verification(
            packs, e.every, e.flip, e.folds, e.batch_size, e.at_start
        )
    every = config.checkpoint.every
    found.append(callbacks.SaveCheckpoints(checkpoints, every, config, verification))
    if verification is not None:
        found.append(verification)
    if first and config.log.curves:
        found.append(callbacks.Curves(run))
    return found


def _packs(config):
    """Return the verification packs of a configuration, which all ranks read."""
    from ..data import VerificationPack

    packs = [VerificationPack.load(path) for path in config.eval.packs]
    for pack in packs:
        if len(pack) < config.eval.folds:
            raise InputError(
                f"{pack.name} has {len(pack)} pairs, fewer than eval.folds = "
                f"{config.eval.folds}; set eval.folds lower"
            )
    return packs


def _has_onnx():
    """Return whether ONNX files can be written."""
    return importlib.util.find_spec("onnx") is not None


def _log_setup(config, trainer):
    """Log model, data, devices and settings in one line."""
    loader, head = trainer.loader, trainer.head
    logger.info(
        "%s-%d, %s, %d classes, %d images; batch %d in %s on %s, %d process%s; %d steps "
        "(%d per epoch); %s, lr %g, MXNet %s",
        config.model.name,
        head.embedding_size,
        head.margin,
        head.num_classes,
        len(loader.dataset),
        config.data.batch_size,
        config.train.dtype,
        ",".join(str(context) for context in trainer.ctx),
        trainer.comm.size,
        "" if trainer.comm.size == 1 else "es",
        trainer.steps,
        trainer.steps_per_epoch,
        config.optimizer.name,
        config.optimizer.lr,
        mx.__version__,
    )
