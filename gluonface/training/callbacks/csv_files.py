"""metrics.csv, verification.csv and verification.json of a run folder."""

import csv
import dataclasses
import io
import pathlib

from ...data.text_files import whole_number
from ...errors import DataError
from ...files import atomic_write, open_to_write, parse_json, write_json

__all__ = ["METRICS", "VERIFICATION", "CsvFiles", "read_history", "read_rows"]

METRICS = (
    "step",
    "epoch",
    "loss",
    "accuracy",
    "target_cosine",
    "lr",
    "strength",
    "images_per_second",
    "data_wait",
)
VERIFICATION = ("step", "pack", "flip", "accuracy", "accuracy_std", "auc", "eer")


class CsvFiles:
    """Write one row per log record and one per verified pack.

    metrics.csv has a column ``auxiliary_NAME`` for each auxiliary loss: its value without weight.

    A resumed run drops the rows after its checkpoint, so that the files are those of a run that
    was never interrupted (the timing columns apart).

    Parameters
    ----------
    folder : str or pathlib.Path
        The run folder.
    """

    def __init__(self, folder):
        folder = pathlib.Path(folder)
        self._files = {
            "metrics": (folder / "metrics.csv", METRICS),
            "verification": (folder / "verification.csv", VERIFICATION),
        }
        self._json = folder / "verification.json"
        self._history = []
        self._started = None

    def fit_start(self, trainer):
        """Drop the rows after the step that training resumes from."""
        step = trainer.progress.step
        path, _ = self._files["metrics"]
        extra = (f"auxiliary_{name}" for name in trainer.auxiliary_names)
        self._files["metrics"] = (path, (*METRICS, *extra))
        self._started = step
        for which in self._files:
            self._keep(which, 0 if step and which == "verification" else 1, step)
        history = read_history(self._json.parent) if step else []
        self._history = [entry for entry in history if entry["step"] <= step]
        self._write_json(trainer)

    def log(self, trainer):
        """Append a row to metrics.csv."""
        record = dataclasses.asdict(trainer.last_log)
        extra = [record["auxiliary"].get(name) for name in trainer.auxiliary_names]
        self._append("metrics", [*(record[name] for name in METRICS), *extra])

    def evaluation(self, trainer):
        """Append a row per pack to verification.csv, and write verification.json."""
        evaluation = trainer.last_evaluation
        if evaluation["step"] == self._started:  # again, if a kill came in between
            self._keep("verification", 0, self._started - 1)
            self._history = [each for each in self._history if each["step"] < self._started]
        for name, pack in evaluation["packs"].items():
            row = {"step": evaluation["step"], "pack": name, **pack}
            self._append("verification", [row.get(column) for column in VERIFICATION])
        self._history.append(evaluation)
        self._write_json(trainer)

    def _write_json(self, trainer):
        if self._history:
            progress = trainer.progress
            best = {"step": progress.best_step, "accuracy": progress.best}
            write_json(self._json, {"best": best, "history": self._history})
        elif self._json.exists():
            self._json.unlink()

    def _keep(self, which, first, last):
        """Drop the rows of other steps than `first` to `last`."""
        path, columns = self._files[which]
        rows = read_rows(path, METRICS if which == "metrics" else columns)
        rows = [row for row in rows if first <= int(row["step"]) <= last]
        with atomic_write(path, "w", encoding="utf-8", newline="") as file:
            file.write(_line(columns))
            file.writelines(_line([row.get(name) for name in columns]) for row in rows)

    def _append(self, which, values):
        path, _ = self._files[which]
        with open_to_write(path, "a", encoding="utf-8", newline="") as file:
            file.write(_line(values))  # one write: a killed process leaves whole lines


def read_history(folder):
    """Return the evaluations of a run folder, oldest first, as `Trainer.last_evaluation` is.

    Raises
    ------
    DataError
        If verification.json is damaged.
    """
    path = pathlib.Path(folder) / "verification.json"
    try:
        history = parse_json(path.read_bytes(), path)["history"]
        return [{**e, "step": int(e["step"]), "accuracy": float(e["accuracy"])} for e in history]
    except FileNotFoundError:
        return []
    except (DataError, ValueError, OverflowError, KeyError, TypeError) as error:
        raise DataError(
            f"{path} is damaged ({type(error).__name__}: {error}); move it away to go on without "
            "the results of earlier verifications"
        ) from error


def read_rows(path, columns):
    """Return the whole rows of a file as dicts; none if it is absent or lacks a column."""
    path = pathlib.Path(path)
    if not path.exists():
        return []
    text = path.read_bytes().decode("utf-8", "replace")
    whole = text[: text.rfind("\n") + 1]  # a line without its end was cut by a kill
    try:
        rows = list(csv.reader(io.StringIO(whole, newline="")))
    except csv.Error as error:
        raise DataError(f"{path} is damaged ({error}); remove it to go on without it") from error
    if not rows or not set(columns) <= set(rows[0]):
        return []
    found = [dict(zip(rows[0], row)) for row in rows[1:] if len(row) == len(rows[0])]
    return [row for row in found if whole_number(row["step"]) is not None]


def _line(values):
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(["" if v is None else v for v in values])
    return buffer.getvalue()
