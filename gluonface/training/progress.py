"""Where a run is, and the numbers of its steps."""

import dataclasses
from typing import Optional

__all__ = ["LogRecord", "Progress", "StepResult"]


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
        From the head: accuracy, target_cosine, max_logit. When gradients are accumulated, of the
        last part of the batch.
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
