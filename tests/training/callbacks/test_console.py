"""The log line and the progress bar."""

import logging

import pytest
from callback_cases import record, trainer_at, verified

from gluonface.training.callbacks import ConsoleLog, ProgressBar
from gluonface.training.callbacks.console import duration, speed


def test_log_line(caplog):
    caplog.set_level(logging.INFO, "gluonface")
    ConsoleLog().log(trainer_at(3, last_log=record(3)))
    line = caplog.messages[-1]
    for part in ("epoch 0", "step 3/10", "loss 1.5000", "acc 0.250", "lr 0.3", "10 img/s",
                 "data wait 5%", "ETA 1:02:05"):  # fmt: skip
        assert part in line, part
    trainer = trainer_at(3, last_evaluation=verified(3, 0.75))
    trainer.progress.best, trainer.progress.best_step = 0.8, 2
    ConsoleLog().evaluation(trainer)
    assert "lfw 0.7500" in caplog.messages[-1]
    assert "best 0.8000 at step 2" in caplog.messages[-1]


def test_a_collapsed_model_is_called_so_beside_its_accuracy(caplog):
    caplog.set_level(logging.INFO, "gluonface")
    evaluation = verified(3, 0.5)
    evaluation["packs"]["lfw"]["collapsed"] = True
    trainer = trainer_at(3, last_evaluation=evaluation)
    trainer.progress.best, trainer.progress.best_step = 0.5, 3
    ConsoleLog().evaluation(trainer)
    assert "(collapsed: the same embedding for everybody)" in caplog.messages[-1]


@pytest.mark.parametrize(
    ("value", "text"), [(97.4, "97"), (10.2, "10"), (2.34, "2.3"), (0.0312, "0.031")]
)
def test_slow_steps_show_their_speed(value, text):
    assert speed(value) == text


@pytest.mark.parametrize(("seconds", "text"), [(5, "0:05"), (65.4, "1:05"), (3600, "1:00:00")])
def test_duration(seconds, text):
    assert duration(seconds) == text


def test_progress_bar_goes_to_standard_error(capsys):
    bar = ProgressBar(enabled=True)
    bar.fit_start(trainer_at(2))
    bar.log(trainer_at(5, last_log=record(5)))
    bar.step_end(trainer_at(5))
    bar.close()
    out, err = capsys.readouterr()
    assert "5/10" in err
    assert "loss=1.500" in err
    assert not out


def test_no_bar_without_a_terminal(capsys):
    bar = ProgressBar()
    bar.fit_start(trainer_at(0))
    bar.step_end(trainer_at(1))
    bar.close()
    assert capsys.readouterr().err == ""
