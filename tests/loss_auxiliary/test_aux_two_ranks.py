"""Two real processes compute the auxiliary losses of one, through Horovod over Gloo."""

import importlib.util
import os
import pathlib
import subprocess
import sys

import aux_two_ranks
import numpy as np
import pytest

HERE = pathlib.Path(__file__).resolve().parent


def test_two_processes_are_as_one(tmp_path):
    if importlib.util.find_spec("horovod") is None:
        pytest.skip("needs Horovod: scripts/install-horovod.sh builds it")
    script = [sys.executable, HERE / "aux_two_ranks.py", tmp_path]
    done = subprocess.run(
        [sys.executable, "-m", "gluonface.parallel.launch", "-np", "2", "--gloo", *script],
        env={
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "PATH": f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": f"{HERE.parents[1]}:{os.environ.get('PYTHONPATH', '')}",
        },
        capture_output=True,
        text=True,
        timeout=240,
    )
    if "support has not been built" in done.stdout + done.stderr:
        pytest.skip("Horovod is installed without MXNet or Gloo: scripts/install-horovod.sh")
    assert done.returncode == 0, done.stdout + done.stderr
    want = aux_two_ranks.alone()
    parts = [dict(np.load(tmp_path / f"{rank}.npz")) for rank in range(2)]
    grads = [part.pop("grad") for part in parts]
    assert len(grads[0]) == aux_two_ranks.SPLIT
    # The sum of the terms' gradients rounds by the number of rows at once, no more.
    whole = want.pop("grad")
    np.testing.assert_allclose(np.concatenate(grads), whole, rtol=1e-6, atol=1e-6)
    for part in parts:
        assert set(part) == set(want)
        for key, value in want.items():
            np.testing.assert_array_equal(part[key], value, err_msg=key)
