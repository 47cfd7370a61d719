"""A loss that is not finite."""

import pytest
from callback_cases import trainer_at

from gluonface.errors import TrainingError
from gluonface.training.callbacks import NanGuard
from gluonface.training.progress import StepResult


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_nan_guard(loss):
    trainer = trainer_at(7, last_result=StepResult(7, 0.125, loss, {"max_logit": 65.5}))
    with pytest.raises(TrainingError, match=r"at step 7 \(learning rate 0.125, largest logit 65.5"):
        NanGuard().result(trainer)
