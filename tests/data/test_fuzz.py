"""A thousand damaged files for each reader: none crashes, hangs, or passes without a word."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

KINDS = ["records", "plain", "pack", "list lfw pairs landmarks json identities map"]


@pytest.mark.parametrize("kinds", KINDS)
def test_damaged_files(tmp_path, kinds):
    # In a process of its own: a crash of the interpreter would take the other tests with it.
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "fuzz.py", tmp_path / "x", *kinds.split()],
        cwd=pathlib.Path(__file__).parent,
        env={**os.environ, "PYTHONPATH": str(pathlib.Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=400,  # it takes 3 s; other work on the machine may hold it up
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    results = json.loads(done.stdout)
    assert list(results) == kinds.split()
    for kind, (outcomes, others) in results.items():
        assert others == [], kind
        assert sum(outcomes.values()) == 1000
        assert outcomes["refused"] > 400, kind  # the damage does damage
