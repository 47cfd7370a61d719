"""A run that is killed and resumed, wherever, ends as the one that was not."""

import csv
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

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


def start(point, run, noise_set, *more):
    """Start `gluonface train` in a process of its own."""
    arguments = ["train", "--run", str(run), "--data", noise_set.data, "--packs", noise_set.pack]
    for setting in SETTINGS:
        arguments += ["--set", setting]
    root = str(HERE.parents[1])
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", str(HERE / "tiny.py"), point, *arguments, *more],
        env={**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def launch(*arguments):
    """Run `gluonface train` as `start` does and return it when it has ended."""
    with start(*arguments) as process:
        out, err = process.communicate(timeout=300)
    return subprocess.CompletedProcess(arguments, process.returncode, out, err)


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


# Points are counted anew in each process, which takes 5 s.
@pytest.mark.parametrize(
    "points",
    [
        ("write:2", "sigterm:2", "verify:1"),
        pytest.param(("mark:1", "rows:2", "link:2", "log:2"), marks=pytest.mark.slow),
    ],
)
def test_killed_again_and_again(tmp_path, noise_set, uninterrupted, points):
    interrupt(points, tmp_path / "run", noise_set, uninterrupted)


@pytest.mark.slow
def test_killed_at_every_other_moment(tmp_path, noise_set, uninterrupted):
    points = (
        "step:2", "write:1", "mark:1", "verify:1", "manifest:2", "rename:1", "prune:2", "link:1",
        "step:5", "link:1",
    )  # fmt: skip
    interrupt(points, tmp_path / "run", noise_set, uninterrupted)


def kill_at_random(run, noise_set, uninterrupted, kills, seed):
    """Kill a run so many times after a random while, resume it each time, and compare it."""
    random = np.random.default_rng(seed)
    wants, done = kills, False
    while wants and not done:
        process = start("none:0", run, noise_set, *(["--resume"] if run.exists() else []))
        time.sleep(random.uniform(1.0, 4.0))
        process.kill()
        _, err = process.communicate(timeout=60)
        assert process.returncode in (0, -signal.SIGKILL), err
        done = process.returncode == 0
        wants -= not done
    done = launch("none:0", run, noise_set, "--resume")
    assert done.returncode == 0, done.stderr
    assert_same_run(run, uninterrupted)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_killed_at_random(tmp_path, noise_set, uninterrupted, seed):
    for number in range(3):  # a run that had time to end begins anew
        kill_at_random(tmp_path / str(number), noise_set, uninterrupted, 6, 10 * seed + number)


@pytest.mark.slow
def test_going_on_from_an_older_checkpoint(tmp_path, noise_set, uninterrupted):
    """The last one is damaged: it is named, with the steps that are whole."""
    run = tmp_path / "run"
    more = ("--set", "checkpoint.keep=9")
    done = launch("sigterm:19", run, noise_set, *more)
    assert done.returncode == 1, done.stderr
    last = (run / "checkpoints/last").resolve()
    content = (last / "backbone.npz").read_bytes()
    (last / "backbone.npz").write_bytes(content[:-9])
    done = launch("none:0", run, noise_set, *more, "--resume")
    assert done.returncode == 1
    error = done.stderr.splitlines()[-1]
    assert f"{last}/backbone.npz is damaged" in error
    assert error.endswith("with --resume-from STEP; whole: step 4, 5, 8, 10, 12, 15, 16")
    done = launch("none:0", run, noise_set, *more, "--resume-from", "7")
    assert done.returncode == 2
    assert "no checkpoint of step 7; there are those of step 4, 5, 8" in done.stderr
    done = launch("none:0", run, noise_set, *more, "--resume-from", "10")
    assert done.returncode == 0, done.stderr
    assert rows(run / "metrics.csv") == rows(uninterrupted / "metrics.csv")
    assert rows(run / "verification.csv") == rows(uninterrupted / "verification.csv")
    ours, theirs = (r / "checkpoints/last" for r in (run, uninterrupted))
    assert arrays(ours) == arrays(theirs)


@pytest.mark.parametrize(
    "name",
    ["SIGTERM", *(pytest.param(each, marks=pytest.mark.slow) for each in ("SIGHUP", "SIGINT"))],
)
def test_a_stop_is_saved_and_nothing_else_is_done_first(tmp_path, noise_set, name):
    """Verification of each step would take long; the process has few seconds."""
    run = tmp_path / "run"
    process = start(
        f"slow-{name}:6", run, noise_set, "--set", "eval.every=1", "--set", "checkpoint.every=1000"
    )
    _, err = process.communicate(timeout=120)
    assert process.returncode == (130 if name == "SIGINT" else 1), err
    assert "Traceback" not in err
    assert "verification at step 6: noise, 20 pairs" not in err
    assert f"stopped by {name} at step 6 of 20; everything is saved" in err
    manifest = json.loads((run / "checkpoints/last/manifest.json").read_text())
    assert manifest["trainer"]["progress"]["step"] == 6
