"""Float64 cases of 1, 2 and 4 ranks; here each rank is a thread, in tests/distributed a process."""

import numpy as np
import pytest
from pfc_cases import chain, first, ranks_of
from simulated_ranks import on_ranks

CASES = (
    "k1_arcface_r100",
    "k1_cosface_r010",
    "k2_arcface_r010",
    "k2_cosface_r010",
    "k2_cosface_r050",
    "k2_cosface_r100",
    "k4_arcface_r050",
    "k4_cosface_r010",
    "k4_cosface_r050",
    "k4_cosface_r100",
)
ODD = (
    "small_c10_k4_r010",
    "small_c3_k4_r100",
    "oneshard_c1003_k4_r010",
    "morepos_c40_k2_r010",
    "arc_c10_k1_r050",
)


def load(shared, name):
    with np.load(shared / f"reference/losses/pfc_{name}.npz", allow_pickle=False) as data:
        return dict(data)


def close(got, want, rtol):
    """float32 sums err relative to their largest term."""
    want = np.asarray(want)
    np.testing.assert_allclose(got, want, rtol=rtol, atol=rtol * np.abs(want).max(initial=0))


@pytest.mark.parametrize("chunk", [None, 7])
@pytest.mark.parametrize("name", CASES + ODD)
def test_first_step(shared, name, chunk):
    data = load(shared, name)
    found, _ = on_ranks(ranks_of(data), lambda comm: first(data, comm, chunk=chunk))
    close(np.concatenate([each["loss"] for each in found]), data["loss_step0"], 2e-6)
    got = np.concatenate([each["grad"] for each in found])
    close(got, data["grad_embeddings_step0"], 2e-5)
    for rank, each in enumerate(found):
        close(each["rows"], data[f"grad_weight_step0_rank{rank}"], 2e-5)


@pytest.mark.parametrize(
    ("name", "mode"),
    [(name, "dense") for name in CASES] + [(n, "frozen") for n in CASES if "r100" not in n],
)
def test_three_steps(shared, name, mode):
    data = load(shared, name)
    momentum = "catchup" if mode == "dense" else "frozen"
    found, _ = on_ranks(ranks_of(data), lambda comm: chain(data, comm, momentum_mode=momentum))
    losses = np.concatenate([each["losses"] for each in found], axis=1).mean(axis=1)
    # The second and third step start from rounded centres; s = 64 magnifies that.
    for t in range(3):
        close(losses[t], data[f"loss_mean_mxnet_{mode}_step{t}"], 2e-5)
    for key, short in (("weight", "weight"), ("momentum", "mom")):
        got = np.concatenate([each[key] for each in found])
        close(got, data[f"{short}_mxnet_{mode}_after2"], 3e-5)
