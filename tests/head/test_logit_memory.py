"""How many arrays (samples, classes) a step has in memory at a time, for each kind of loss."""

import os
import pathlib
import subprocess
import sys

import pytest

CODE = """
import sys
import numpy as np
from gluonface._compat import mx
from gluonface.bench._head_step import _status
from gluonface.parallel import PartialFC
name, classes, options = sys.argv[1], int(sys.argv[2]), eval(sys.argv[3])
x = mx.nd.array(np.random.default_rng(0).normal(size=(256, 8)))
x.attach_grad()
for each in (300, classes):  # the first one has MXNet take what it takes once
    head = PartialFC(name, each, 8, **options)
    before = _status("VmRSS")
    for _ in range(2):
        with mx.autograd.record():
            loss = head(x, np.arange(256)).sum()
        loss.backward()
        mx.nd.waitall()
print((_status("VmHWM") - before) / (4 * 256 * classes))
"""
SMOOTH = {"label_smoothing": 0.1}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "most", "options"),
    [
        ("arcface", 1, {}),
        ("arcface", 1, SMOOTH),
        ("arcface", 0.2, {"chunk": 10_000}),
        ("arcface", 3, {"filter_above": 0.4}),
        ("curricularface", 2, {}),
        ("circleloss", 2, SMOOTH),
        ("adacos", 2, {}),
        ("uniface", 0, {}),  # more samples than numbers of an embedding: no logit is kept
        ("sphereface2", 0, {"updates_itself": True}),
        ("subcenter_arcface", 5, {}),  # three centres for each class
    ],
)
def test_arrays_of_logits(name, most, options):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = str(pathlib.Path(__file__).resolve().parents[2])
    command = [sys.executable, "-c", CODE, name, "200000", repr(options)]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    assert float(done.stdout) < most + 0.3
