import logging
import os
import signal
import types

import numpy as np
import pytest

from gluonface._compat import cv2
from gluonface.errors import TrainingError
from gluonface.training.callbacks import ConsoleLog, CsvFiles, NanGuard, ProgressBar, StopSignals
from gluonface.training.callbacks.console import duration
from gluonface.training.callbacks.csv_files import METRICS, read_rows
from gluonface.training.callbacks.curves import draw_curves
from gluonface.training.progress import LogRecord, Progress, StepResult
from gluonface.training.run_folder import RunFolder


def record(step, loss=1.5):
    return LogRecord(
        step=step, epoch=0, loss=loss, accuracy=0.25, target_cosine=0.1, lr=0.1 + 0.2, strength=1.0,
        images_per_second=10.0, data_wait=0.05, eta=3725.0,
    )  # fmt: skip


def trainer_at(step, **more):
    comm = types.SimpleNamespace(rank=0, size=1)
    values = {"progress": Progress(step=step), "steps": 10, "comm": comm, "auxiliary_names": ()}
    return types.SimpleNamespace(**{**values, **more})


def verified(step, accuracy):
    packs = {"lfw": {"accuracy": accuracy, "accuracy_std": 0.01, "auc": None, "flip": "none"}}
    return {"step": step, "accuracy": accuracy, "packs": packs}


def written(folder, steps, at=0):
    files = CsvFiles(folder)
    files.fit_start(trainer_at(at))
    for step in steps:
        trainer = trainer_at(
            step, last_log=record(step, loss=1 / step), last_evaluation=verified(step, 0.5)
        )
        trainer.progress.best, trainer.progress.best_step = 0.5, step
        files.log(trainer)
        files.evaluation(trainer)
    return files


def test_csv_numbers_come_back_exactly(tmp_path):
    written(tmp_path, [1, 3])
    rows = read_rows(tmp_path / "metrics.csv", METRICS)
    assert [int(row["step"]) for row in rows] == [1, 3]
    assert float(rows[1]["loss"]) == 1 / 3
    assert float(rows[1]["lr"]) == 0.1 + 0.2


def test_a_resumed_run_drops_what_came_after_its_checkpoint(tmp_path):
    written(tmp_path, [2, 4, 6])
    with open(tmp_path / "metrics.csv", "a") as file:
        file.write("8,0,1.")  # cut by a kill
    CsvFiles(tmp_path).fit_start(trainer_at(4))
    for name in ("metrics.csv", "verification.csv"):
        lines = (tmp_path / name).read_text().splitlines()
        assert [line.split(",")[0] for line in lines] == ["step", "2", "4"], name
    assert '"step": 6' not in (tmp_path / "verification.json").read_text()
    CsvFiles(tmp_path).fit_start(trainer_at(0))  # from the start: all of it goes
    assert len((tmp_path / "metrics.csv").read_text().splitlines()) == 1
    assert not (tmp_path / "verification.json").exists()


def test_curves_show_something_in_every_panel(tmp_path):
    assert draw_curves(tmp_path) is None  # nothing to draw yet
    written(tmp_path, range(1, 30))
    path = draw_curves(tmp_path)
    image = cv2.imread(str(path))
    height, width = image.shape[:2]
    assert height > 500
    assert width > 800
    for rows in (slice(0, height // 2), slice(height // 2, height)):
        for columns in (slice(0, width // 2), slice(width // 2, width)):
            panel = image[rows, columns].reshape(-1, 3).astype(int)
            coloured = np.ptp(panel, axis=1) > 60  # axes and text are grey
            assert coloured.sum() > 200


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


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_nan_guard(loss):
    trainer = trainer_at(7, last_result=StepResult(7, 0.125, loss, {"max_logit": 65.5}))
    with pytest.raises(TrainingError, match=r"at step 7 \(learning rate 0.125, largest logit 65.5"):
        NanGuard().result(trainer)


def test_signals_ask_to_stop_and_handlers_are_put_back():
    before = signal.getsignal(signal.SIGTERM)
    stops = []
    trainer = trainer_at(1, request_stop=stops.append)
    watch = StopSignals()
    watch.fit_start(trainer)
    watch.step_end(trainer)
    assert stops == []
    os.kill(os.getpid(), signal.SIGTERM)
    watch.step_end(trainer)
    assert stops == ["SIGTERM"]
    assert signal.getsignal(signal.SIGTERM) == before  # a second one ends the process at once
    watch.close()


def test_the_log_file_hears_what_the_console_does_not(tmp_path, capsys):
    from gluonface.training.config.config import Config

    folder = RunFolder(tmp_path / "run")
    folder.begin(Config(), ["gluonface", "train", "--run", "a b"])
    logging.getLogger("gluonface.training").info("only for the file")
    folder.note("an error")
    folder.end()
    logging.getLogger("gluonface.training").info("after the end")
    text = (tmp_path / "run/train.log").read_text()
    assert "only for the file" in text
    assert "an error" in text
    assert "after the end" not in text
    assert "--run 'a b'" in (tmp_path / "run/command.txt").read_text()
    assert capsys.readouterr().err == ""
