"""Learning rate, margin strength and other values as functions of the step.

The learning rate is GluonCV's: `gluoncv.utils.LRScheduler` has the shapes (linear, cosine, poly,
step, constant), `gluoncv.utils.LRSequential` joins the warm-up and the shape after it.

Nothing here but `Piecewise` has state: a resumed run gets the values of the uninterrupted one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ..errors import InputError
from .config.config import MarginWarmupConfig, ScheduleConfig

__all__ = ["Piecewise", "learning_rate", "margin_strength", "steps_of"]


def steps_of(value: int | float, total: int) -> int:
    """Return the number of steps of a configured value: an int as it is, a float as a share."""
    return round(value * total) if isinstance(value, float) else int(value)


def learning_rate(config: ScheduleConfig, base_lr: float, total: int) -> Callable[[int], float]:
    """Return a function from the step (0, 1, ...) to the learning rate.

    Parameters
    ----------
    config : ScheduleConfig
        `name` cosine, poly, step or constant, after `warmup_steps` steps that grow linearly
        from `warmup_lr` to `base_lr`. Cosine and poly reach `final_lr` at the last step.
    base_lr : float
        The learning rate at the end of the warm-up.
    total : int
        Steps of the whole run.
    """
    from gluoncv.utils import LRScheduler, LRSequential

    warmup = steps_of(config.warmup_steps, total)
    if warmup >= total:
        raise InputError(
            f"schedule.warmup_steps = {config.warmup_steps} is {warmup} of {total} steps; "
            "expected fewer than the whole run"
        )
    stages = []
    if warmup:
        stages.append(_stage("linear", config.warmup_lr, base_lr, warmup))
    stages.append(
        _stage(
            config.name,
            base_lr,
            config.final_lr,
            total - warmup,
            power=config.power,
            step_iter=[max(0, steps_of(m, total) - warmup) for m in config.milestones],
            step_factor=config.factor,
        )
    )
    schedule = LRSequential([LRScheduler(**stage) for stage in stages])
    return lambda step: float(schedule(step))


def _stage(mode, base_lr, target_lr, niters, **more):
    # GluonCV divides by (niters - 1): one iteration alone has no slope.
    mode = "constant" if niters == 1 and mode != "step" else mode
    return {"mode": mode, "base_lr": base_lr, "target_lr": target_lr, "niters": niters, **more}


def margin_strength(config: MarginWarmupConfig, total: int) -> Callable[[int], float]:
    """Return a function from the step to the margin's strength: 0 until `start`, 1 from `end`.

    In between it grows linearly. ``start = end = 35000`` is gluon-face's ``--loss-warmup-iters
    35000``: plain (normalised) softmax for 35,000 steps, then the full margin at once.
    """
    start, end = steps_of(config.start, total), steps_of(config.end, total)
    if end < start:
        raise InputError(
            f"margin_warmup.end = {config.end} (step {end}) comes before "
            f"margin_warmup.start = {config.start} (step {start})"
        )

    def strength(step):
        if step >= end:
            return 1.0
        return max(0.0, (step - start) / (end - start)) if end > start else 0.0

    return strength


class Piecewise:
    """A value that is constant between changes, at given steps or when a score is reached.

    Parameters
    ----------
    changes : iterable of (str, float, object)
        From `read_changes`.
    total : int
        Steps of the whole run.
    steps_per_epoch : int

    Attributes
    ----------
    reached : list of int
        The steps from which the scores count as reached, in the order of the changes. Kept in
        every checkpoint; a score is reached for good.
    """

    def __init__(self, changes: Iterable[tuple[str, float, Any]], total: int, steps_per_epoch: int):
        factors = {"share": total, "epoch": steps_per_epoch, "step": 1}
        self._changes = [
            (round(when * factors[kind]) if kind in factors else None, when, value)
            for kind, when, value in changes
        ]
        self.reached: list[int] = []

    @property
    def needs_score(self) -> bool:
        """Whether a change waits for a score."""
        return len(self.reached) < sum(step is None for step, _, _ in self._changes)

    @property
    def values(self) -> list:
        """All values, in their order."""
        return [value for _, _, value in self._changes]

    def __call__(self, step: int) -> Any:
        """Return the value of a step, from 0."""
        return self._changes[self._stage(step)][2]

    def _stage(self, step):
        """Return the number of the last change that has come. Each waits for those before it."""
        reached, stage = iter(self.reached), 0
        for number, (at, _, _) in enumerate(self._changes):
            if at is None:
                at = next(reached, step + 1)
            if at > step:
                break
            stage = number
        return stage

    def observe(self, step: int, score: float) -> None:
        """Take note of the score of a step, which is the same on all ranks."""
        stage = self._stage(step)
        if stage + 1 == len(self._changes):
            return
        at, threshold, _ = self._changes[stage + 1]
        if at is None and score >= threshold:
            self.reached.append(step + 1)
