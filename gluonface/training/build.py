"""From a configuration to a `Trainer`: data, network, head, optimizers, the same on all ranks."""

from __future__ import annotations

import dataclasses
import logging
import pathlib
import typing
from typing import Any

from .._compat import mx
from ..data.augment import read_augmentations
from ..errors import InputError
from ..head.partial_fc import require_same_rows
from ..parallel.agreement import agree, raise_on_all_ranks
from ..parallel.communicator import Communicator, Local
from .classifier import build_head, start_centers
from .config.config import Config, config_to_dict, read_margin
from .config.steps import read_changes
from .devices import contexts
from .optimizer_step import OptimizerStep
from .precision import LossScale, reduced, require_dtype
from .schedules import Piecewise, learning_rate, margin_strength
from .setup_checks import Problems, open_training_set, require_batch
from .teacher import build_teacher, read_centers
from .trainer import Trainer

__all__ = [
    "build",
    "check_auxiliary",
    "check_setup",
    "initialise",
    "total_steps",
    "with_batch_norms",
    "without_init",
]

logger = logging.getLogger(__name__)


def build(
    config: Config,
    comm: Communicator | None = None,
    folder: pathlib.Path | None = None,
    also: typing.Sequence[typing.Callable[[], Any]] = (),
    updates_itself: bool = False,
) -> Trainer:
    """Return a `Trainer` without callbacks for a configuration. A collective.

    Parameters
    ----------
    config : Config
    comm : Local or Horovod, optional
        Default: `Local`.
    folder : pathlib.Path, optional
        The run folder, the default place of class centres on disk.
    also : sequence of callable
        Further checks, whose errors are told with those of the configuration.
    updates_itself : bool, default False
        As of `build_head`.

    Raises
    ------
    InputError
        If the configuration asks for something impossible, or several ranks do not agree on data
        and settings.
    """
    from ..loss.auxiliary import Auxiliaries
    from ..loss.auxiliary._auxiliaries import read_schedules

    comm = comm or Local()
    # An error on one rank is raised on all, so `check_setup` must not wait for another rank.
    loader, net, ctx, margins, teacher = raise_on_all_ranks(
        comm, lambda: check_setup(config, comm, also), "training.prepared"
    )
    classes = loader.dataset.num_classes
    if comm.size > 1:
        agree(comm, "training.settings", _facts(config, loader, ctx, net, teacher))
    head = raise_on_all_ranks(
        comm,
        lambda: build_head(
            config,
            margins[0][2],
            classes,
            net.cfg.embedding_size,
            comm,
            ctx[0],
            folder,
            updates_itself,
            any(margin.uses_bank for _, _, margin in margins),
        ),
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
        auxiliary = Auxiliaries(
            config.loss.auxiliary,
            *sizes,
            comm,
            ctx[0],
            config.train.seed,
            None if teacher is None else teacher.embedding_size,
        )
        if "kd_logits" in auxiliary.members:
            raise_on_all_ranks(
                comm,
                lambda: head.set_teacher(read_centers(config, loader, teacher)),
                "training.teacher",
            )
    accumulate = config.train.accumulate
    steps = total_steps(config, loader)

    def piecewise(changes):
        return Piecewise(changes, steps, len(loader) // accumulate)

    rates = read_changes(config.head.sample_rate, "head.sample_rate", lambda value, _: float(value))
    schedules = read_schedules(config.loss.auxiliary)
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
        teacher=teacher,
        factors={
            name: piecewise(read_changes(written, name, lambda value, _: float(value)))
            for name, written in schedules.items()
        },
        sample_rate=piecewise(rates) if len(rates) > 1 else None,
        margin=piecewise(margins) if len(margins) > 1 else None,
        max_skips=config.optimizer.max_skips,
        seed=config.train.seed,
        log_every=config.log.every,
    )


def check_setup(
    config: Config,
    comm: Communicator | None = None,
    also: typing.Sequence[typing.Callable[[], Any]] = (),
) -> tuple[Any, Any, list, list, Any]:
    """Return loader, network, contexts, margins and teacher, without any collective.

    Parameters
    ----------
    config : Config
    comm : Local or Horovod, optional
        Default: `Local`.
    also : sequence of callable
        Further checks, whose errors are told with the others.

    Raises
    ------
    InputError, DataError
        With all that is wrong.
    """
    from ..data import Loader
    from ..model_zoo import get_model

    comm = comm or Local()
    batch_size, accumulate = config.data.batch_size, config.train.accumulate
    problems = Problems()
    dataset = problems.of(lambda: open_training_set(config.data.path))
    ctx = problems.of(lambda: contexts(config.train.ctx, comm))
    if ctx is not None:
        problems.of(lambda: require_dtype(config.train.dtype, ctx))
    devices = None if ctx is None else len(ctx)
    problems.of(lambda: require_batch(batch_size, accumulate, comm.size, devices))
    margins = problems.of(lambda: _read_margins(config))
    problems.of(lambda: check_auxiliary(config))
    loader = None
    if dataset is not None:
        loader = problems.of(
            lambda: Loader(
                dataset,
                max(1, batch_size // (comm.size * accumulate)),
                seed=config.train.seed,
                rank=comm.rank,
                size=comm.size,
                flip=config.data.flip,
                augment=config.data.augment,
                sampler=config.data.sampler,
                workers=config.data.workers,
                max_bad=config.data.max_bad,
            )
        )
    if loader is not None:
        problems.of(lambda: margin_strength(config.margin_warmup, total_steps(config, loader)))
        problems.of(
            lambda: learning_rate(config.schedule, config.optimizer.lr, total_steps(config, loader))
        )
    for check in also:
        problems.of(check)
    mx.random.seed(config.train.seed)  # the same weights on every rank
    net = problems.of(
        lambda: get_model(
            config.model.name,
            embedding_size=config.model.embedding_size,
            ctx=ctx or [mx.cpu()],
            batch_norm=config.model.batch_norm,
        )
    )
    if net is not None and dataset is not None:
        problems.of(lambda: _require_size(dataset, net))
    init = config.model.init
    if net is not None and init is not None:
        problems.of(lambda: initialise(net, init))
    teacher = None
    if loader is not None and ctx is not None:
        teacher = problems.of(
            lambda: build_teacher(config, loader, ctx[0], whole=comm.local_rank == 0)
        )
    problems.raise_all()
    return loader, net, ctx, margins, teacher  # type: ignore[return-value]


def _require_size(dataset, net):
    height, width = dataset.image_size
    if (height, width) != tuple(net.cfg.input_size):
        high, wide = net.cfg.input_size
        raise InputError(
            f"{dataset.path} holds images of {width} x {height} pixels, {net.cfg.name} takes "
            f"{wide} x {high}"
        )


def _read_margins(config):
    """Return the margins of a run as `read_changes` does: (kind, when, Margin) each."""
    from ..loss import get_loss
    from ..loss._block import check_filter

    first = {"0": {"name": config.loss.name, **config.loss.arguments}}
    changes = read_changes({**first, **config.loss.changes}, "loss.changes", read_margin)
    margins = [(kind, when, get_loss(name, **values)) for kind, when, (name, values) in changes]
    for _, _, margin in margins[1:]:
        require_same_rows(margins[0][2], margin)
    mixing = [one.name for one in read_augmentations(config.data.augment, "") if one.mixes]
    for _, _, margin in margins:  # now, and not at the step of a change
        margin.refuse_smoothing(config.head.label_smoothing)
        check_filter(config.head.filter_above, margin)
        if margin.uses_bank and mixing:
            raise InputError(
                f"data.augment has {mixing[0]}, whose images have two labels each; {margin.name} "
                "keeps the embeddings of each class. Take one of them"
            )
    return margins


def _facts(config, loader, ctx, net, teacher):
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
    for key in ("source", "embeddings", "centers"):
        facts.pop(f"teacher.{key}", None)
    return {
        **facts,
        "number of classes": loader.dataset.num_classes,
        "number of images": len(loader.dataset),
        "devices": len(ctx),
        "teacher": None if teacher is None else dict(teacher.model.sha256),
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
