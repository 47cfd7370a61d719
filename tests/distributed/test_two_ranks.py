"""Two real processes give what one gives, through Horovod over Gloo."""

import pathlib

import head_cases
import numpy as np
import pytest
from two_processes import run_in_two

from gluonface.parallel import Local

HERE = pathlib.Path(__file__).parent
REFERENCE = HERE.resolve().parents[2] / "shared/reference/losses"


def close(got, want, rtol=2e-5):
    want = np.asarray(want)
    np.testing.assert_allclose(got, want, rtol=rtol, atol=rtol * np.abs(want).max(initial=0))


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    """Return the arrays that each of two processes computed."""
    return run_in_two(HERE / "two_ranks.py", tmp_path_factory.mktemp("ranks"), REFERENCE)


def test_ranks_know_themselves(ranks):
    assert [list(found["rank"]) for found in ranks] == [[0, 2, 0], [1, 2, 1]]


def test_collectives(ranks):
    x = np.arange(6.0).reshape(3, 2)
    for rank, found in enumerate(ranks):
        got = {key[5:]: value for key, value in found.items() if key.startswith("comm/")}
        np.testing.assert_array_equal(got["sum"], 2 * x + 10)
        np.testing.assert_array_equal(got["mean"], x + 5)
        np.testing.assert_array_equal(got["max"], x + 10)
        np.testing.assert_array_equal(got["min"], x)
        np.testing.assert_array_equal(got["gather"], np.concatenate([x[:1], x[:2] + 10]))
        np.testing.assert_array_equal(
            got["scatter"], (2 * x + 10)[[slice(0, 2), slice(2, 3)][rank]]
        )
        np.testing.assert_array_equal(got["broadcast"], x + 10)
        assert "unnamed refused" in got


@pytest.mark.parametrize("name", head_cases.CASES)
def test_losses_gradients_and_updates_equal_those_of_one_process(ranks, name):
    want = head_cases.run(name, Local(), slice(None))
    for step in range(2):
        for key in ("loss", "grad"):
            got = np.concatenate([found[f"{name}/{key}{step}"] for found in ranks])
            # float32 sums in another order; the second step amplifies the first one's rounding.
            close(got, want[f"{key}{step}"], 2e-5 if step == 0 else 2e-4)
        for key in (key for key in want if key.startswith("rows_")):
            close(np.concatenate([found[f"{name}/{key}"] for found in ranks]), want[key])
        for found in ranks:
            close(found[f"{name}/stats{step}"], want[f"stats{step}"])
    for found in ranks:
        close(found[f"{name}/centers"], want["centers"], 2e-4)
        np.testing.assert_array_equal(found[f"{name}/state"], ranks[0][f"{name}/state"])
        close(found[f"{name}/state"], want["state"])


def test_reference_case_of_two_ranks(ranks, shared):
    data = np.load(shared / "reference/losses/pfc_k2_cosface_r100.npz", allow_pickle=False)
    for key, ours in (("loss_step0", "loss"), ("grad_embeddings_step0", "grad")):
        got = np.concatenate([found[f"reference/{ours}"] for found in ranks])
        close(got, data[key], 1e-5 if ours == "loss" else 1e-4)
    for rank, found in enumerate(ranks):
        close(found["reference/grad_weight"], data[f"grad_weight_step0_rank{rank}"], 1e-4)
