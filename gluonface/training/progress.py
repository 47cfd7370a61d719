"""The position of a run, and the figures of its steps."""

from __future__ import annotations

import dataclasses

from .._compat import mx

__all__ = ["Interval", "LogRecord", "Progress", "StepResult", "average_figures"]


@dataclasses.dataclass
class Progress:
    """The position of a run. Kept in every checkpoint.

    Attributes
    ----------
    step : int
        OptimizerStep done.
    epoch, batch : int
        The next batch, of a whole step over all processes.
    images : int
        Images seen, all processes together.
    best : float or None
    best_step : int or None
        Best mean verification accuracy so far, and its step.
    """

    step: int = 0
    epoch: int = 0
    batch: int = 0
    images: int = 0
    best: float | None = None
    best_step: int | None = None


@dataclasses.dataclass
class StepResult:
    """The figures of one step, which arrive up to one step after its update was queued.

    Attributes
    ----------
    step : int
        The step's number, from 1.
    lr : float
        Its learning rate.
    loss : float
        Mean over the batch of all processes.
    stats : dict of str to float
        From the head: accuracy, target_cosine, max_logit, over all micro-batches of the step.
    auxiliary : dict of str to float
        Value of each auxiliary loss, without its weight.
    skipped : bool
        Whether the update was skipped because a gradient was not finite.
    bad_ranks : tuple of int
        The processes whose own loss was not finite.
    """

    step: int
    lr: float
    loss: float
    stats: dict
    auxiliary: dict = dataclasses.field(default_factory=dict)
    skipped: bool = False
    bad_ranks: tuple = ()


@dataclasses.dataclass
class LogRecord:
    """Means over the steps since the last record.

    Attributes
    ----------
    step, epoch : int
    loss, accuracy, target_cosine : float
        Accuracy: the share of images whose own class has the largest logit, margin included.
    lr, strength : float
        Learning rate and margin strength of the last step.
    images_per_second : float
        All processes together, verification and checkpoints not counted.
    data_wait : float
        Share of that time spent waiting for data, 0..1.
    eta : float
        Seconds to the end of the run.
    auxiliary : dict of str to float
        Value of each auxiliary loss, without its weight.
    """

    step: int
    epoch: int
    loss: float
    accuracy: float
    target_cosine: float
    lr: float
    strength: float
    images_per_second: float
    data_wait: float
    eta: float
    auxiliary: dict = dataclasses.field(default_factory=dict)


def average_figures(figures):
    """Return the figures of a step from those of its micro-batches, which are of equal size.

    Parameters
    ----------
    figures : list of (dict, dict)
        The head's `stats` and the auxiliary losses' `values` for each micro-batch.

    Returns
    -------
    stats, auxiliary : dict of str to float
        Means; of ``max_logit`` the largest.
    """
    if len(figures) == 1:
        return figures[0]
    stats, auxiliary = (
        {name: sum(each[name] for each in dicts) / len(dicts) for name in dicts[0]}
        for dicts in zip(*figures)
    )
    if "max_logit" in stats:
        stats["max_logit"] = max(each["max_logit"] for each, _ in figures)
    return stats, auxiliary


class Interval:
    """The sums of the steps since the last log line.

    Parameters
    ----------
    auxiliary : sequence of str
        Names of the auxiliary losses.

    Attributes
    ----------
    sums : dict of str to float
        Over the steps; kept in every checkpoint.
    """

    def __init__(self, auxiliary=()):
        self._auxiliary = tuple(auxiliary)
        self._clear()

    def _clear(self):
        names = ("count", "loss", "accuracy", "target_cosine")
        self.sums = dict.fromkeys((*names, *(f"auxiliary/{name}" for name in self._auxiliary)), 0)
        self._busy = self._waited = self._images = 0

    def add(self, result):
        """Add a step's `StepResult`."""
        self.sums["count"] += 1
        self.sums["loss"] += result.loss
        for name, value in result.auxiliary.items():
            self.sums[f"auxiliary/{name}"] += value
        for name in ("accuracy", "target_cosine"):
            self.sums[name] += result.stats[name]

    def tick(self, busy, waited, images):
        """Add the seconds of a step, those of them spent waiting for data, and its images."""
        self._busy += busy
        self._waited += waited
        self._images += images

    def record(self, comm, ctx, **more):
        """Return the `LogRecord` and clear the sums. A collective if there are auxiliary losses.

        Parameters
        ----------
        comm : Local or Horovod
        ctx : mx.Context
        **more
            The other fields of the record.
        """
        sums, busy = self.sums, max(self._busy, 1e-9)
        count = sums["count"] or float("nan")  # all steps may have been skipped
        extra = [sums[f"auxiliary/{name}"] / count for name in self._auxiliary]
        if comm.size > 1 and extra:  # the others are of all processes already
            extra = comm.allreduce(
                mx.nd.array(extra, ctx=ctx), op="mean", name="training.auxiliary"
            )
            with comm.waiting("in the collective 'training.auxiliary'"):
                extra = extra.asnumpy()
        record = LogRecord(
            loss=sums["loss"] / count,
            accuracy=sums["accuracy"] / count,
            target_cosine=sums["target_cosine"] / count,
            images_per_second=self._images / busy,
            data_wait=self._waited / busy,
            auxiliary={name: float(value) for name, value in zip(self._auxiliary, extra)},
            **more,
        )
        self._clear()
        return record
