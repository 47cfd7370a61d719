"""Save the state while training."""

import logging

from ..checkpoint.checkpoints import save_state

__all__ = ["SaveCheckpoints"]

logger = logging.getLogger(__name__)


class SaveCheckpoints:
    """Save every `every` steps, at a new best verification, at the end and on a stop.

    Parameters
    ----------
    checkpoints : Checkpoints
    every : int
    config : Config, optional
        Saved beside.
    """

    def __init__(self, checkpoints, every, config=None):
        self._checkpoints = checkpoints
        self._every = every
        self._config = config
        self._saved = None

    def fit_start(self, trainer):
        """Note the step that is saved already; save a verified start as the best so far."""
        self._saved = trainer.progress.step
        if trainer.progress.step == 0 == trainer.progress.best_step:
            self._save(trainer, best=True)

    def step_end(self, trainer):
        """Save if a checkpoint is due. Runs after verification, which may have found a new best."""
        progress = trainer.progress
        best = progress.best_step == progress.step
        if best or progress.step % self._every == 0 or progress.step == trainer.steps:
            self._save(trainer, best)

    def fit_end(self, trainer):
        """Save a run that was stopped between two checkpoints."""
        if trainer.progress.step != self._saved:
            self._save(trainer, best=False)

    def _save(self, trainer, best):
        trainer.collect()  # a NaN loss raises here
        trainer.require_finite_weights()
        step = trainer.progress.step
        self._checkpoints.write(
            step, lambda folder: save_state(folder, trainer, self._config), best=best
        )
        self._saved = step
        logger.debug("checkpoint of step %d written%s", step, ", the best so far" if best else "")
