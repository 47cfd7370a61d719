"""A run that is killed and resumed, wherever, ends as the one that was not."""

import csv
import json
import os
import pathlib
import signal
import subprocess
import sys

import numpy as np
import pytest

from gluonface.training.callbacks.csv_files import METRICS

HERE = pathlib.Path(__file__).parent
TIMING = {"images_per_second", "data_wait"}

SETTINGS = (
    "model.name=tiny",
    "train.steps=20",
    "data.batch_size=8",
    "optimizer.name=adam",
    "optimizer.lr=0.01",
    "margin_warmup.start=4",
    "margin_warmup.end=12",
    "log.every=3",  # neither a divisor nor a multiple of the checkpoints' distance
    "checkpoint.every=4",
    "eval.every=5",
    "eval.folds=2",
    "log.tensorboard=false",
    "log.curves=false",
)


def launch(point, run, noise_set, *more):
    """Run `gluonface train` in a process of its own and return it when it has ended."""
    arguments = ["train", "--run", str(run), "--data", noise_set.data, "--packs", noise_set.pack]
    for setting in SETTINGS:
        arguments += ["--set", setting]
    root = str(HERE.parents[1])
    return subprocess.run(
        [sys.executable, "-W", "ignore", str(HERE / "tiny.py"), point, *arguments, *more],
        env={**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )


def rows(path):
    with open(path, newline="") as file:
        return [{k: v for k, v in row.items() if k not in TIMING} for row in csv.DictReader(file)]


def arrays(folder):
    found = {}
    for path in sorted(folder.glob("*.npz")):
        with np.load(path, allow_pickle=False) as file:
            found.update({f"{path.name}/{name}": file[name].tobytes() for name in file.files})
    found.update({path.name: path.read_bytes() for path in folder.glob("*.npy")})
    return found


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, noise_set):
    run = tmp_path_factory.mktemp("runs") / "whole"
    done = launch("none:0", run, noise_set)
    assert done.returncode == 0, done.stderr
    return run


def assert_same_run(run, uninterrupted):
    """Compare everything but timing, to the last bit."""
    assert rows(run / "metrics.csv") == rows(uninterrupted / "metrics.csv")
    assert rows(run / "verification.csv") == rows(uninterrupted / "verification.csv")
    for name in (
        "verification.json",
        "checkpoints/last/manifest.json",
        "checkpoints/best/manifest.json",
    ):
        assert json.loads((run / name).read_text()) == json.loads(
            (uninterrupted / name).read_text()
        ), name
    for which in ("last", "best"):
        ours, theirs = (r / "checkpoints" / which for r in (run, uninterrupted))
        assert arrays(ours) == arrays(theirs)
        assert (ours / "backbone.params").read_bytes() == (theirs / "backbone.params").read_bytes()
    ours, theirs = (r / "export/model-0000.params" for r in (run, uninterrupted))
    assert ours.read_bytes() == theirs.read_bytes()


def test_the_uninterrupted_run_logs_every_step_it_should(uninterrupted):
    log = rows(uninterrupted / "metrics.csv")
    assert [int(row["step"]) for row in log] == [3, 6, 9, 12, 15, 18, 20]
    assert set(log[0]) == set(METRICS) - TIMING
    losses = [float(row["loss"]) for row in log]
    assert np.isfinite(losses).all()
    assert len(set(losses)) == len(losses)
    assert [row["step"] for row in rows(uninterrupted / "verification.csv")] == [
        "5", "10", "15", "20",
    ]  # fmt: skip


def interrupt(points, run, noise_set, uninterrupted):
    for point in points:
        done = launch(point, run, noise_set, *(["--resume"] if run.exists() else []))
        assert point.split(":")[0] in done.stderr, done.stderr
        if point.startswith("sigterm"):
            assert done.returncode == 1
            assert f"--run {run} --resume" in done.stderr
        else:
            assert done.returncode == -signal.SIGKILL
        last = run / "checkpoints/last"
        if last.exists():  # whole, whenever the process died
            json.loads((last / "manifest.json").read_text())
            assert arrays(last)
    done = launch("none:0", run, noise_set, "--resume")
    assert done.returncode == 0, done.stderr
    assert_same_run(run, uninterrupted)
    left = {path.name for path in (run / "checkpoints").iterdir()}
    assert {"last", "best"} < left
    assert len(left) <= 4  # the links and what they point to


# Points are counted anew in each process.
def test_killed_again_and_again(tmp_path, noise_set, uninterrupted):
    points = ("write:2", "sigterm:2", "rows:2", "link:2", "log:2")
    interrupt(points, tmp_path / "run", noise_set, uninterrupted)


@pytest.mark.slow
def test_killed_at_every_other_moment(tmp_path, noise_set, uninterrupted):
    points = (
        "step:2", "write:1", "manifest:2", "rename:1", "prune:2", "link:1", "step:5", "link:3",
    )  # fmt: skip
    interrupt(points, tmp_path / "run", noise_set, uninterrupted)
