"""Save the state while training."""

import logging

from ..checkpoint.checkpoints import save_state

__all__ = ["SaveCheckpoints"]

logger = logging.getLogger(__name__)


class SaveCheckpoints:
    """Save every `every` steps, before each verification, at the end and on a stop.

    It comes before `Verification`, plots and reports, which may take longer than a process has
    left after SIGTERM. A new best is marked when the verification's result is known.

    Parameters
    ----------
    checkpoints : Checkpoints
    every : int
    config : Config, optional
        Saved beside.
    verification : Verification, optional
        Before which to save.
    """

    def __init__(self, checkpoints, every, config=None, verification=None):
        self._checkpoints = checkpoints
        self._every = every
        self._config = config
        self._verification = verification
        self._saved = None

    def fit_start(self, trainer):
        """Note the step that is saved already."""
        self._saved = trainer.progress.step or None

    def step_end(self, trainer):
        """Save if a checkpoint is due, a verification follows or a stop was requested."""
        step = trainer.progress.step
        if (
            step % self._every == 0
            or step == trainer.steps
            or trainer.stop_reason is not None
            or (self._verification is not None and self._verification.is_due(trainer))
        ):
            self._save(trainer)

    def evaluation(self, trainer):
        """Mark the state as the best so far if it is; also that of the start, without a step."""
        if trainer.progress.best_step == trainer.progress.step:
            if self._saved != trainer.progress.step:
                self._save(trainer)
            self._checkpoints.mark_best()
            logger.debug("checkpoint of step %d is the best so far", self._saved)

    def fit_end(self, trainer):
        """Save a run that was stopped after `step_end`."""
        if trainer.progress.step and trainer.progress.step != self._saved:
            self._save(trainer)

    def _save(self, trainer):
        trainer.collect()  # a NaN loss raises here
        trainer.require_finite_weights()
        step = trainer.progress.step
        self._checkpoints.write(step, lambda folder: save_state(folder, trainer, self._config))
        self._saved = step
        logger.debug("checkpoint of step %d written", step)
