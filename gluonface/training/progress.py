"""Where a run is, and the numbers of its steps."""

import dataclasses
from typing import Optional

from .._compat import mx

__all__ = ["Interval", "LogRecord", "Progress", "StepResult", "join_parts"]


@dataclasses.dataclass
class Progress:
    """Where the run is. Kept in every checkpoint.

    Attributes
    ----------
    step : int
        Updates done.
    epoch, batch : int
        The batch that comes next: that of a whole step, over all processes.
    images : int
        Images seen, all processes together.
    best : float or None
        Best mean verification accuracy so far, and the step it was at.
    """

    step: int = 0
    epoch: int = 0
    batch: int = 0
    images: int = 0
    best: Optional[float] = None
    best_step: Optional[int] = None


@dataclasses.dataclass
class StepResult:
    """The numbers of one step, which arrive up to one step after its update was queued.

    Attributes
    ----------
    step : int
        The step's number, from 1.
    lr : float
        Its learning rate.
    loss : float
        Mean over the batch of all processes.
    stats : dict of str to float
        From the head: accuracy, target_cosine, max_logit, over all parts of the batch when
        gradients are accumulated.
    auxiliary : dict of str to float
        Value of each auxiliary loss, without its weight.
    skipped : bool
        Whether nothing was updated, because a gradient was not finite.
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


def join_parts(parts):
    """Return the figures of a step from those of the equal parts of its batch.

    Parameters
    ----------
    parts : list of (dict, dict)
        Of each part: the head's `stats`, the auxiliary losses' `values`.

    Returns
    -------
    stats, auxiliary : dict of str to float
        Means over the parts; of ``max_logit`` the largest.
    """
    if len(parts) == 1:
        return parts[0]
    stats, auxiliary = (
        {name: sum(each[name] for each in dicts) / len(dicts) for name in dicts[0]}
        for dicts in zip(*parts)
    )
    if "max_logit" in stats:
        stats["max_logit"] = max(each["max_logit"] for each, _ in parts)
    return stats, auxiliary


class Interval:
    """What has come together since the last log line.

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
        """Count a step's `StepResult`."""
        self.sums["count"] += 1
        self.sums["loss"] += result.loss
        for name, value in result.auxiliary.items():
            self.sums[f"auxiliary/{name}"] += value
        for name in ("accuracy", "target_cosine"):
            self.sums[name] += result.stats[name]

    def tick(self, busy, waited, images):
        """Count the seconds of a step, those of them spent waiting for data, and its images."""
        self._busy += busy
        self._waited += waited
        self._images += images

    def record(self, comm, ctx, **more):
        """Return the `LogRecord` and begin anew. A collective if there are auxiliary losses.

        Parameters
        ----------
        comm : object
            Communicator.
        ctx : mx.Context
        **more
            The fields that are not of the interval.
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
