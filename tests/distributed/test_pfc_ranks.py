"""The stored cases of Partial FC on 1, 2 and 4 real processes, and what is said of a dead one."""

import pathlib
import sys
import time

import numpy as np
import pytest
from two_processes import launch

HERE = pathlib.Path(__file__).parent
DYING = """
import os, signal
import numpy as np
from gluonface._compat import mx
from gluonface.parallel import Horovod, PartialFC
comm = Horovod()
head = PartialFC("cosface", 100, 8, comm=comm, sample_rate=0.5)
head.set_optimizer("sgd")
for step in range(10**6):
    if step == 5 and comm.rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    with mx.autograd.record():
        loss = head(mx.nd.ones((2, 8)), np.arange(2)).sum()
    loss.backward()
    head.update(0.1)
"""

pytestmark = pytest.mark.slow


def close(got, want, rtol):
    """float32 sums err relative to their largest term."""
    want = np.asarray(want)
    np.testing.assert_allclose(got, want, rtol=rtol, atol=rtol * np.abs(want).max(initial=0))


@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_stored_cases(ranks, shared, tmp_path):
    reference = shared / "reference/losses"
    done = launch(ranks, sys.executable, HERE / "pfc_ranks.py", tmp_path, reference)
    assert done.returncode == 0, done.stdout + done.stderr
    found = [dict(np.load(tmp_path / f"{rank}.npz")) for rank in range(ranks)]
    names = sorted({key.split("/")[0] for key in found[0]})
    assert len(names) >= 3
    for name in names:
        data = np.load(reference / f"{name}.npz", allow_pickle=False)

        def joined(key, axis=0, name=name):
            return np.concatenate([each[f"{name}/{key}"] for each in found], axis=axis)

        close(joined("loss"), data["loss_step0"], 2e-6)
        close(joined("grad"), data["grad_embeddings_step0"], 2e-5)
        for rank, each in enumerate(found):
            close(each[f"{name}/rows"], data[f"grad_weight_step0_rank{rank}"], 2e-5)
        if f"{name}/weight" in found[0]:
            close(joined("weight"), data["weight_mxnet_dense_after2"], 3e-5)
            close(joined("momentum"), data["mom_mxnet_dense_after2"], 3e-5)
            means = joined("losses", axis=1).mean(axis=1)
            for t in range(3):
                close(means[t], data[f"loss_mean_mxnet_dense_step{t}"], 2e-5)


def test_a_killed_rank_ends_the_job_and_is_named():
    start = time.monotonic()
    done = launch(2, sys.executable, "-c", DYING)
    assert done.returncode != 0
    assert "rank 1 was killed by signal 9 (SIGKILL)" in done.stdout + done.stderr
    assert time.monotonic() - start < 300  # the start included; it would run for days
