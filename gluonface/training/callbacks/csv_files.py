"""metrics.csv, verification.csv and verification.json of a run folder."""

import csv
import dataclasses
import io
import pathlib

from ...data.text_files import whole_number
from ...errors import DataError
from ...files import atomic_write, open_unlinked, parse_json, write_json

__all__ = ["METRICS", "VERIFICATION", "CsvFiles", "read_rows"]

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

    def fit_start(self, trainer):
        """Drop the rows after the step that training resumes from."""
        step = trainer.progress.step
        path, columns = self._files["metrics"]
        extra = (f"auxiliary_{name}" for name in trainer.auxiliary_names)
        self._files["metrics"] = (path, (*METRICS, *extra))
        for path, columns in self._files.values():
            first = 0 if step and path.name == "verification.csv" else 1
            rows = read_rows(path, METRICS if path.name == "metrics.csv" else columns)
            rows = [row for row in rows if first <= int(row["step"]) <= step]
            with atomic_write(path, "w", encoding="utf-8", newline="") as file:
                file.write(_line(columns))
                file.writelines(_line([row.get(name) for name in columns]) for row in rows)
        if step and self._json.exists():
            self._history = _history(self._json, step)
        self._write_json(trainer)

    def log(self, trainer):
        """Append a row to metrics.csv."""
        record = dataclasses.asdict(trainer.last_log)
        extra = [record["auxiliary"].get(name) for name in trainer.auxiliary_names]
        self._append("metrics", [*(record[name] for name in METRICS), *extra])

    def evaluation(self, trainer):
        """Append a row per pack to verification.csv, and write verification.json."""
        evaluation = trainer.last_evaluation
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

    def _append(self, which, values):
        path, _ = self._files[which]
        with open_unlinked(path, "a", encoding="utf-8", newline="") as file:
            file.write(_line(values))  # one write: a killed process leaves whole lines


def _history(path, step):
    """Return the entries of verification.json up to a step."""
    found = parse_json(path.read_bytes(), path)
    try:
        return [entry for entry in found["history"] if entry["step"] <= step]
    except (KeyError, TypeError) as error:
        raise DataError(
            f"{path} is damaged ({type(error).__name__}: {error}); remove it to go on without it"
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
