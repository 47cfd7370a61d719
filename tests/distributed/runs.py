"""Starts whole training runs on several processes, as a user would."""

import csv
import json
import pathlib
import sys

import numpy as np
import two_processes

ROOT = pathlib.Path(__file__).resolve().parents[2]
TINY = ROOT / "tests/training/tiny.py"

SETTINGS = (
    "model.name=tiny-plain",
    "data.batch_size=24",
    "data.workers=1",
    "train.steps=12",
    "loss.scale=16.0",
    "optimizer.name=sgd",
    "optimizer.lr=0.05",
    "log.every=1",
    "log.tensorboard=false",
    "log.curves=false",
    "checkpoint.every=3",
)
SAMPLED = ("head.sample_rate=0.5",)


# Runs tiny.py, on rank 1 with the arguments after --rank-1.
DISAGREE = """
import os, runpy, sys
at = sys.argv.index("--rank-1")
own = sys.argv[at + 1 :] if os.environ["HOROVOD_RANK"] == "1" else []
sys.argv[:] = sys.argv[1:at] + own
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def launch(
    processes, run, data, *more, point="none:0", settings=(), rank_1=(), timeout=400, start=False
):
    """Run ``gluonface train`` on some processes and return it when it has ended.

    Rank 1 gets further arguments, which the others do not. With `start` return the launcher as it
    runs.

    Skips the test when Horovod is not installed, or lacks MXNet or Gloo.
    """
    script = ("-c", DISAGREE) if rank_1 else ()
    command = [sys.executable, "-W", "ignore", *script, str(TINY), point, "train"]
    command += ["--run", str(run), "--data", str(data), "--parallel", "horovod"]
    for setting in (*SETTINGS, *settings):
        command += ["--set", setting]
    more = (*more, "--rank-1", *rank_1) if rank_1 else more
    return two_processes.launch(processes, *command, *more, timeout=timeout, start=start)


def finish(*arguments, **options):
    """Launch a run that has to succeed."""
    done = launch(*arguments, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def losses(run):
    """Return the logged losses."""
    with open(pathlib.Path(run) / "metrics.csv", newline="") as file:
        return np.array([float(row["loss"]) for row in csv.DictReader(file)])


def stored(run):
    """Return {name: array} of all numbers of the last checkpoint, rows of all classes together."""
    from gluonface._compat import mx

    folder = pathlib.Path(run) / "checkpoints/last"
    manifest = json.loads((folder / "manifest.json").read_text())
    found = {
        name: array.asnumpy() for name, array in mx.nd.load(str(folder / "backbone.params")).items()
    }
    for name in manifest["rows"]:
        files = sorted(folder.glob(f"head-{name}-*.npy"))
        found[name] = np.concatenate([np.load(file, allow_pickle=False) for file in files])
    with np.load(folder / "backbone.npz", allow_pickle=False) as file:
        found.update({f"optimizer/{name}": file[name] for name in file.files})
    return found


def assert_close(got, want, atol):
    """Compare what `stored` gave."""
    for name, value in want.items():
        np.testing.assert_allclose(got[name], value, rtol=0, atol=atol, err_msg=name)
