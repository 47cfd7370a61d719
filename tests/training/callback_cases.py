"""A trainer's figures for the tests of callbacks."""

import types

from gluonface.training.callbacks import CsvFiles
from gluonface.training.progress import LogRecord, Progress


def record(step, loss=1.5):
    return LogRecord(
        step=step, epoch=0, loss=loss, accuracy=0.25, target_cosine=0.1, lr=0.1 + 0.2, strength=1.0,
        images_per_second=10.0, data_wait=0.05, eta=3725.0,
    )  # fmt: skip


def trainer_at(step, **more):
    comm = types.SimpleNamespace(rank=0, size=1)
    values = {"progress": Progress(step=step), "steps": 10, "comm": comm, "auxiliary_names": ()}
    values.update(last_evaluation=None, stop_reason=None, stop_wish=None)
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
