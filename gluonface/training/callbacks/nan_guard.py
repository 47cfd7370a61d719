"""Stop at the first loss that is not a number."""

import math

from ...errors import TrainingError

__all__ = ["NanGuard"]


class NanGuard:
    """Raise `TrainingError` on a NaN or infinite loss, at most one step after it.

    Weights are checked before each checkpoint as well, so none holds NaN.
    """

    def result(self, trainer):
        """Check the loss of a step."""
        result = trainer.last_result
        if math.isfinite(result.loss) or result.skipped:
            return
        where = ", ".join(map(str, result.bad_ranks))
        where = f" on rank {where}" if where else ""
        raise TrainingError(
            f"the loss is {result.loss} at step {result.step}{where} (learning rate {result.lr:g}, "
            f"largest logit {result.stats['max_logit']:g}). Lower optimizer.lr, lengthen "
            "schedule.warmup_steps or set optimizer.clip_norm. The last checkpoint is untouched."
        )
