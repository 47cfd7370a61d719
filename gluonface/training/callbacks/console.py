"""The log line and the progress bar."""

import logging
import sys

__all__ = ["ConsoleLog", "ProgressBar", "duration", "speed"]

logger = logging.getLogger(__name__)


def duration(seconds):
    """Return seconds as 1:02:03 or 2:03."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


def speed(value):
    """Return images per second: whole ones, or as many digits as a slow step needs."""
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"


class ConsoleLog:
    """Log one line per record and per verification."""

    def log(self, trainer):
        """Log the means since the last line."""
        record = trainer.last_log
        extra = ", ".join(f"{name} {value:.4f}" for name, value in record.auxiliary.items())
        logger.info(
            "epoch %d step %d/%d loss %.4f%s acc %.3f lr %.3g %s img/s data wait %.0f%% ETA %s",
            record.epoch,
            record.step,
            trainer.steps,
            record.loss,
            f" ({extra})" if extra else "",
            record.accuracy,
            record.lr,
            speed(record.images_per_second),
            100 * record.data_wait,
            duration(record.eta),
        )

    def evaluation(self, trainer):
        """Log a verification."""
        evaluation = trainer.last_evaluation
        packs = ", ".join(
            f"{name} {pack['accuracy']:.4f} ± {pack['accuracy_std']:.4f}"
            + (" (collapsed: the same embedding for everybody)" if pack.get("collapsed") else "")
            for name, pack in evaluation["packs"].items()
        )
        best = trainer.progress
        logger.info(
            "verification at step %d: %s (best %.4f at step %d)",
            evaluation["step"],
            packs,
            best.best,
            best.best_step,
        )


class ProgressBar:
    """Show a bar on standard error.

    Parameters
    ----------
    enabled : bool, optional
        Default: when standard error is a terminal.
    """

    def __init__(self, enabled=None):
        self._enabled = sys.stderr.isatty() if enabled is None else enabled
        self._bar = self._redirect = None

    def fit_start(self, trainer):
        """Open the bar; log lines are written above it."""
        if not self._enabled:
            return
        from tqdm import tqdm
        from tqdm.contrib.logging import logging_redirect_tqdm

        self._redirect = logging_redirect_tqdm()
        self._redirect.__enter__()
        self._bar = tqdm(
            total=trainer.steps, initial=trainer.progress.step, unit="step", desc="training"
        )

    def step_end(self, trainer):
        """Advance the bar."""
        if self._bar is not None:
            self._bar.update(trainer.progress.step - self._bar.n)

    def log(self, trainer):
        """Show loss and accuracy at the bar."""
        if self._bar is not None:
            record = trainer.last_log
            self._bar.set_postfix(loss=f"{record.loss:.3f}", acc=f"{record.accuracy:.3f}")

    def close(self):
        """Close the bar."""
        if self._bar is not None:
            self._bar.close()
            self._redirect.__exit__(None, None, None)
            self._bar = None
