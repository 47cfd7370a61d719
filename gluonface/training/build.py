"""From a configuration to a `Trainer`: data, network, head, optimizers, the same on all ranks."""

from __future__ import annotations

import dataclasses
import logging
import pathlib
from typing import Any

from .._compat import mx
from ..errors import InputError
from ..parallel.agreement import agree, raise_on_all_ranks
from ..parallel.communicator import Communicator, Local
from .classifier import build_head, start_centers
from .config.config import Config, config_to_dict
from .devices import contexts
from .optimizer_step import OptimizerStep
from .precision import LossScale, reduced
from .schedules import learning_rate, margin_strength
from .trainer import Trainer

__all__ = [
    "build",
    "check_auxiliary",
    "initialise",
    "total_steps",
    "with_batch_norms",
    "without_init",
]

logger = logging.getLogger(__name__)


def build(
    config: Config, comm: Communicator | None = None, folder: pathlib.Path | None = None
) -> Trainer:
    """Return a `Trainer` without callbacks for a configuration. A collective.

    Parameters
    ----------
    config : Config
    comm : Local or Horovod, optional
        Default: `Local`.
    folder : pathlib.Path, optional
        The run folder, the default place of class centres on disk.

    Raises
    ------
    InputError
        If the configuration asks for something impossible, or several ranks do not agree on data
        and settings.
    """
    from ..loss.auxiliary import Auxiliaries

    comm = comm or Local()
    # An error on one rank is raised on all, so `_prepare` must not wait for another rank.
    loader, net, ctx, margin = raise_on_all_ranks(
        comm, lambda: _prepare(config, comm), "training.prepared"
    )
    classes = loader.dataset.num_classes
    if comm.size > 1:
        agree(comm, "training.settings", _facts(config, loader, ctx, net))
    head = raise_on_all_ranks(
        comm,
        lambda: build_head(config, margin, classes, net.cfg.embedding_size, comm, ctx[0], folder),
        "training.head",
    )
    raise_on_all_ranks(comm, lambda: start_centers(config, head, comm), "training.centers")
    if comm.size > 1:
        for name, parameter in net._collect_params_with_prefix().items():
            value = parameter.data(ctx[0])
            parameter.set_data(comm.broadcast(value, root=0, name=f"training.initial.{name}"))
    net.hybridize(static_alloc=True)
    forward = reduced(net, config.train.dtype, ctx)
    if forward is not net:
        forward.hybridize(static_alloc=True)
    auxiliary = None
    if config.loss.auxiliary:
        sizes = (classes, net.cfg.embedding_size)
        auxiliary = Auxiliaries(config.loss.auxiliary, *sizes, comm, ctx[0], config.train.seed)
    accumulate = config.train.accumulate
    steps = total_steps(config, loader)
    return Trainer(
        net,
        head,
        loader,
        OptimizerStep(net, head, config.optimizer, comm, auxiliary, accumulate),
        steps=steps,
        lr=learning_rate(config.schedule, config.optimizer.lr, steps),
        strength=margin_strength(config.margin_warmup, steps),
        ctx=ctx,
        comm=comm,
        forward=forward,
        loss_scale=LossScale() if config.train.dtype == "float16" else None,
        auxiliary=auxiliary,
        accumulate=accumulate,
        max_skips=config.optimizer.max_skips,
        seed=config.train.seed,
        log_every=config.log.every,
    )


def _prepare(config, comm):
    """Return loader, network, contexts and margin, without any collective."""
    from ..data import Loader, RecordDataset
    from ..loss import get_loss
    from ..model_zoo import get_model

    if config.data.path is None:
        raise InputError("no training data: give --data DIR (or data.path in the configuration)")
    batch_size, accumulate = config.data.batch_size, config.train.accumulate
    micro_batches = comm.size * accumulate
    if batch_size % micro_batches:
        cut = f" in {accumulate} micro-batches (train.accumulate)" if accumulate > 1 else ""
        raise InputError(
            f"data.batch_size = {batch_size} cannot be divided over {comm.size} processes{cut}; "
            "it counts the images of a step, all processes together"
        )
    ctx = contexts(config.train.ctx, comm)
    if batch_size // micro_batches < len(ctx):
        raise InputError(
            f"data.batch_size = {batch_size} leaves nothing to do for some of the {len(ctx)} "
            "devices of each process"
        )
    margin = get_loss(config.loss.name, **config.loss.arguments)
    check_auxiliary(config)
    dataset = RecordDataset(config.data.path)
    loader = Loader(
        dataset,
        batch_size // micro_batches,
        seed=config.train.seed,
        rank=comm.rank,
        size=comm.size,
        flip=config.data.flip,
        augment=config.data.augment,
        sampler=config.data.sampler,
        workers=config.data.workers,
        max_bad=config.data.max_bad,
    )
    learning_rate(config.schedule, config.optimizer.lr, total_steps(config, loader))
    mx.random.seed(config.train.seed)  # the same weights on every rank
    net = get_model(
        config.model.name,
        embedding_size=config.model.embedding_size,
        ctx=ctx,
        batch_norm=config.model.batch_norm,
    )
    if tuple(dataset.image_size) != tuple(net.cfg.input_size):
        raise InputError(
            f"{dataset.path} holds images of {dataset.image_size} pixels, {config.model.name} "
            f"takes {tuple(net.cfg.input_size)}"
        )
    if config.model.init is not None:
        initialise(net, config.model.init)
    return loader, net, ctx, margin


def _facts(config, loader, ctx, net):
    """Return the settings that must be equal on all ranks. Paths may differ between machines."""
    from .. import __version__

    tree = config_to_dict(config)
    facts = {
        f"{section}.{key}": value
        for section, values in tree.items()
        if isinstance(values, dict)
        for key, value in values.items()
    }
    for key in ("data.path", "data.workers", "model.init", "eval.packs", "head.centers_path"):
        facts.pop(key, None)
    return {
        **facts,
        "number of classes": loader.dataset.num_classes,
        "number of images": len(loader.dataset),
        "devices": len(ctx),
        "BatchNorms": net.cfg.batch_norm,
        "gluonface": __version__,
        "MXNet": mx.__version__,
    }


def with_batch_norms(config, net):
    """Return the configuration with what the network took over from model.init, for a resume."""
    if net.cfg.batch_norm == config.model.batch_norm:
        return config
    model = dataclasses.replace(config.model, batch_norm=net.cfg.batch_norm)
    return dataclasses.replace(config, model=model)


def without_init(config):
    """Return the configuration of a resumed run, whose weights come from its checkpoint."""
    model = dataclasses.replace(config.model, init=None)
    return dataclasses.replace(
        config, model=model, head=dataclasses.replace(config.head, init=None)
    )


def check_auxiliary(config: Config) -> None:
    """Raise InputError if an auxiliary loss is unknown or does not go with the head."""
    from ..loss.auxiliary._auxiliaries import read_entries

    if "focal" in read_entries(config.loss.auxiliary) and config.head.label_smoothing:
        raise InputError(
            f"head.label_smoothing = {config.head.label_smoothing:g} does not go with "
            "loss.auxiliary.focal: focal loss reads the target's probability off the loss, which "
            "smoothing changes; give one of them"
        )


def initialise(net: Any, source: str) -> None:
    """Load the weights of a SOURCE into a network.

    Parameters
    ----------
    net : gluonface.model_zoo.Backbone
    source : str
        A file of weights of the same model, ``NAME:FILE.params``, a run folder, or an exported
        prefix (InsightFace's MXNet checkpoints included).

    Raises
    ------
    InputError
        If there is none, or it is of another model.
    """
    from ..weights import load_weights, open_weights
    from ..weights.source import ONNX

    weights = open_weights(source)
    name = weights.source.name
    if name is None and weights.source.format == ONNX:
        raise InputError(
            f"--init {source}: training cannot start from ONNX; give the symbol + params, the "
            "run folder or NAME:FILE.params that it was made from"
        )
    if name not in (None, net.cfg.name):
        raise InputError(
            f"--init {source} is a {name}, this run trains a {net.cfg.name}; "
            f"add --set model.name={name}"
        )
    load_weights(net, weights)
    logger.info("weights from %s", weights.params)


def total_steps(config: Config, loader: Any) -> int:
    """Return the length of the run in steps."""
    if config.train.steps is not None:
        return config.train.steps
    if config.train.epochs is not None:
        return config.train.epochs * (len(loader) // config.train.accumulate)
    raise InputError("how long to train is not given: set train.steps or train.epochs")
