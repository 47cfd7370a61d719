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
        """Remember what is saved already; save a start that was verified, as the best so far."""
        self._saved = trainer.progress.step
        if trainer.progress.step == 0 == trainer.progress.best_step:
            self._save(trainer, best=True)

    def step_end(self, trainer):
        """Save if it is time. Comes after verification, so that a best one is saved as such."""
        progress = trainer.progress
        best = progress.best_step == progress.step
        if best or progress.step % self._every == 0 or progress.step == trainer.steps:
            self._save(trainer, best)

    def fit_end(self, trainer):
        """Save where a stopped run stands."""
        if trainer.progress.step != self._saved:
            self._save(trainer, best=False)

    def _save(self, trainer, best):
        trainer.collect()  # the checks of its numbers come first
        trainer.require_finite_weights()
        step = trainer.progress.step
        self._checkpoints.write(
            step, lambda folder: save_state(folder, trainer, self._config), best=best
        )
        self._saved = step
        logger.debug("checkpoint of step %d written%s", step, ", the best so far" if best else "")
