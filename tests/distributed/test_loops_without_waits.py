"""No head locks up in an ordinary loop: its backward pass reads no array that an update waits for.

A chunked head computes its logits again in the backward pass. It read the parameters by the names
that MXNet's engine orders, behind an update that was queued already and waited for the gradient.
"""

import os
import pathlib
import subprocess
import sys

import pytest
from two_processes import launch

from gluonface import list_losses

SCRIPT = pathlib.Path(__file__).with_name("loops_without_waits.py")
EACH = 4  # chunked and not, sampled and not


def run(names, steps=50):
    return subprocess.run(
        [sys.executable, "-W", "ignore", SCRIPT, ",".join(names), "local", str(steps)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=1500,  # 27 losses, on a busy machine
        check=True,
    )


def test_centres_and_class_margins():
    names = ["adam_softmax"]
    assert len(run(names, steps=12).stdout.splitlines()) == EACH * len(names)


@pytest.mark.slow
def test_every_loss():
    assert len(run(list_losses()).stdout.splitlines()) == EACH * len(list_losses())


@pytest.mark.slow
def test_every_loss_on_two_ranks():
    done = launch(
        2, sys.executable, "-W", "ignore", SCRIPT, ",".join(list_losses()), "horovod", timeout=1800
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("sample_rate=") == EACH * len(list_losses())
