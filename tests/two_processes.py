"""Starts processes that talk to each other, as a user would."""

import importlib.util
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]


def launch(processes, *command, timeout=400, start=False):
    """Run a command on some ranks and return the finished process, or with `start` the launcher.

    Patient, as the machine may be busy with something else.

    Skips the test when Horovod is not installed, or lacks MXNet or Gloo.
    """
    if importlib.util.find_spec("horovod") is None:
        pytest.skip("needs Horovod: scripts/install-horovod.sh builds it")
    launcher = (sys.executable, "-m", "gluonface.parallel.launch", "-np", str(processes), "--gloo")
    launcher += ("--start-timeout", "300")
    environment = {
        "HOROVOD_GLOO_TIMEOUT_SECONDS": "600",
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PATH": f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}",
    }
    words = [*launcher, *command]
    if start:
        joined = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        return subprocess.Popen(words, env=environment, **joined)
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=timeout)
    if "support has not been built" in done.stdout + done.stderr:
        pytest.skip("Horovod is installed without MXNet or Gloo: scripts/install-horovod.sh")
    return done


def run_in_two(script, folder, *arguments):
    """Run ``script FOLDER ARGUMENTS...`` on two ranks; return the arrays of FOLDER/RANK.npz."""
    done = launch(2, sys.executable, script, folder, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return [dict(np.load(pathlib.Path(folder) / f"{rank}.npz")) for rank in range(2)]
