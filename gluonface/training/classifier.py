"""The classifier of a run: its memory estimate, and where its centres come from."""

import logging

from ..errors import InputError
from .checkpoint.class_rows import find_checkpoint
from .checkpoint.label_map import take_centers
from .config.steps import highest_value, read_changes

__all__ = ["build_head", "start_centers"]

logger = logging.getLogger(__name__)


def build_head(
    config,
    margin,
    num_classes,
    embedding_size,
    comm,
    ctx,
    folder=None,
    updates_itself=False,
    bank=False,
):
    """Return the `PartialFC` of a configuration; log its memory before allocating it.

    Parameters
    ----------
    config : Config
    margin : Margin
    num_classes, embedding_size : int
    comm : object
    ctx : mx.Context
    folder : pathlib.Path, optional
        The run folder.
    updates_itself : bool, default False
        Whether the head updates its centres itself at a sample rate of 1, too: in a run whose rate
        was below 1 before, or will be.
    bank : bool, default False
        Whether a loss of the run uses a bank.
    """
    from ..head import PartialFC

    options = config.head
    path = options.centers_path
    if options.centers == "disk" and path is None:
        if folder is None:
            raise InputError("head.centers = 'disk' needs head.centers_path: the folder for them")
        path = folder / "centers"
    rate = read_changes(options.sample_rate, "head.sample_rate", lambda value, _: float(value))
    updates_itself = updates_itself or any(value < 1.0 for _, _, value in rate)
    updates_itself = updates_itself or bool(_updates_itself(config, margin))
    memory = _memory(config)
    if comm.rank == 0:
        sizes = (num_classes, embedding_size, comm.size)
        _log_memory(config, margin, *sizes, updates_itself, bank, memory)
    head = PartialFC(
        margin,
        num_classes,
        embedding_size,
        sample_rate=rate[0][2],
        updates_itself=updates_itself or None,
        comm=comm,
        ctx=ctx,
        seed=config.train.seed,
        label_smoothing=options.label_smoothing,
        filter_above=options.filter_above,
        sampler=options.sampler,
        unbiased=options.unbiased,
        momentum_mode=options.momentum_mode,
        centers=options.centers,
        centers_path=path,
        wire_dtype=options.wire_dtype,
        chunk=options.chunk,
        mode=options.mode,
        negative_weight=options.negative_weight,
        bank=bank,
    )
    if memory is not None:
        head.remember(memory)
    return head


def _memory(config):
    """Return in which numbers a loss with a memory stores it, or None if there is no such loss."""
    from ..loss.auxiliary._auxiliaries import read_entries

    found = [e for e in read_entries(config.loss.auxiliary).values() if e.kind == "memory"]
    return found[0].memory if found else None


def _updates_itself(config, margin):
    """Return True where a head that updates itself saves the memory of its gradients."""
    can = config.optimizer.name in ("sgd", "nag", "adamw") and config.head.mode == "sharded"
    return True if margin.family == "binary" and can else None


def start_centers(config, head, comm):
    """Load the class centres that ``head.init`` asks for into a new run's head, and log them."""
    source, how = config.model.init, config.head.init
    if how in (None, "new"):
        if how is None and source is not None and _has_centers(source) and comm.rank == 0:
            logger.warning(
                "the class centres are new: --init takes the backbone alone. --init-centers same, "
                "grow or FILE takes the centres of %s as well; --init-centers new says that none "
                "are wanted",
                source,
            )
        return
    if source is None:
        raise InputError(
            f"--init-centers {how} (head.init) takes the centres of the run that --init names, and "
            "there is no --init"
        )
    taken = take_centers(head, source, how)
    if comm.rank == 0:
        logger.info(
            "class centres of %s: %d of %d, the others are new", source, taken, head.num_classes
        )


def _has_centers(source):
    try:
        find_checkpoint(source)
    except InputError:
        return False
    return True


def _log_memory(config, margin, num_classes, embedding_size, ranks, updates_itself, bank, uss):
    """Log the estimate of a rank's memory and traffic."""
    from ..head.memory_estimate import estimate_head

    estimate = estimate_head(
        num_classes,
        embedding_size,
        config.data.batch_size // config.train.accumulate,
        ranks,
        highest_value(config.head.sample_rate),  # what later steps need has to be there
        "adamw" if config.optimizer.name == "adam" else config.optimizer.name,
        config.head.centers,
        config.head.wire_dtype,
        config.head.chunk,
        margin.subcenters,
        config.head.mode,
        updates_itself,
        bool(_updates_itself(config, margin)),
        bank,
        uss,
    )
    logger.info(
        "the head will take about %s on each process for %d of %d classes (centres, their state "
        "and banks %s%s, %d sampled rows %s, logits %s), and send %s a step",
        _size(estimate.own),
        estimate.rows,
        num_classes,
        _size(estimate.weight + estimate.state + estimate.banks),
        " on disk" if estimate.on_disk else "",
        estimate.sampled,
        _size(estimate.copies),
        _size(estimate.logits),
        _size(estimate.sent),
    )


def _size(count):
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} GB"
