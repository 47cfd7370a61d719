"""curves.png: loss, learning rate and accuracies of a run."""

import pathlib

import numpy as np

from .csv_files import METRICS, VERIFICATION, read_rows

__all__ = ["Curves", "draw_curves"]


class Curves:
    """Draw curves.png at each verification and at the end.

    Parameters
    ----------
    folder : str or pathlib.Path
        The run folder, whose CSV files are drawn.
    """

    def __init__(self, folder):
        self._folder = pathlib.Path(folder)

    def evaluation(self, trainer):
        """Draw."""
        draw_curves(self._folder)

    def fit_end(self, trainer):
        """Draw."""
        draw_curves(self._folder)


def draw_curves(folder):
    """Draw loss, learning rate, accuracy and verification from a run folder's CSV files.

    Parameters
    ----------
    folder : str or pathlib.Path

    Returns
    -------
    pathlib.Path or None
        The picture; None when there is nothing to draw yet.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from ...files import atomic_write

    folder = pathlib.Path(folder)
    rows = _numeric(read_rows(folder / "metrics.csv", METRICS), METRICS)
    checks = _numeric(read_rows(folder / "verification.csv", VERIFICATION), ("step", "accuracy"))
    if not rows:
        return None
    columns = {name: [float(row[name]) for row in rows] for name in METRICS}
    steps = columns["step"]
    marker = "." if len(steps) < 3 else None
    with matplotlib.rc_context({"axes.grid": True, "grid.alpha": 0.3, "font.size": 9}):
        figure = Figure(figsize=(10, 7), layout="constrained")
        FigureCanvasAgg(figure)
        loss, rate, accuracy, verified = figure.subplots(2, 2, sharex=True).flat
        loss.plot(steps, columns["loss"], color="0.75", linewidth=1, marker=marker)
        loss.plot(steps, _smooth(columns["loss"]), color="C0")
        loss.set_title("loss")
        rate.plot(steps, columns["lr"], color="C1", label="learning rate", marker=marker)
        rate.set_title("learning rate")
        rate.set_ylim(bottom=0)
        if min(columns["strength"]) < 1:
            margin = rate.twinx()
            margin.grid(False)
            margin.plot(steps, columns["strength"], color="C4", linestyle="--")
            margin.set_ylim(-0.05, 1.05)
            margin.set_ylabel("margin strength (dashed)")
        accuracy.plot(steps, columns["accuracy"], color="0.75", linewidth=1, marker=marker)
        accuracy.plot(steps, _smooth(columns["accuracy"]), color="C2", label="accuracy")
        accuracy.plot(steps, columns["target_cosine"], color="C5", label="cosine to own class")
        accuracy.set_title("training accuracy, with margin")
        accuracy.legend(loc="best")
        for number, name in enumerate(dict.fromkeys(row["pack"] for row in checks)):
            own = [row for row in checks if row["pack"] == name]
            values = [float(row["accuracy"]) for row in own]
            verified.plot(
                [int(row["step"]) for row in own],
                values,
                marker="o",
                markersize=3,
                color=f"C{number}",
                label=f"{name} (last {values[-1]:.4f})",
            )
        verified.set_title("verification accuracy")
        if checks:
            verified.legend(loc="best")
        else:
            verified.text(0.5, 0.5, "no packs", ha="center", transform=verified.transAxes)
        for axes in (accuracy, verified):
            axes.set_xlabel("step")
        path = folder / "curves.png"
        with atomic_write(path) as file:
            figure.savefig(file, format="png", dpi=110)
    return path


def _numeric(rows, columns):
    """Return the rows that hold numbers in `columns`; a damaged file has others."""
    found = []
    for row in rows:
        try:
            if np.isfinite([float(row[name]) for name in columns]).all():
                found.append(row)
        except ValueError:
            continue
    return found


def _smooth(values, share=0.02):
    """Return a running mean whose window is `share` of all points."""
    window = max(1, int(len(values) * share))
    sums = np.concatenate([[0.0], np.cumsum(values)])
    stop = np.arange(1, len(sums))
    start = np.maximum(stop - window, 0)
    return (sums[stop] - sums[start]) / (stop - start)
