"""Verification by several ranks, each a thread: shares of a pack, one result."""

import types

import numpy as np
import pytest
from simulated_ranks import on_ranks

from gluonface import get_model
from gluonface._compat import mx
from gluonface.data import VerificationPack
from gluonface.errors import DataError, TrainingError
from gluonface.parallel import Local
from gluonface.training.callbacks import Verification
from gluonface.training.callbacks.verification import Share


@pytest.fixture(scope="module")
def pack(noise_set):
    return VerificationPack.load(noise_set.pack)  # 20 pairs


@pytest.fixture(scope="module")
def nets(tiny):
    """Return one network for each rank: the same weights, running statistics of its own."""
    nets = []
    for rank in range(4):
        mx.random.seed(0)
        net = get_model("tiny")
        net.features[1].running_var.set_data(mx.nd.arange(8) + 1 + rank)
        nets.append(net)
    return nets


def evaluate(comm, nets, pack, flip, batch_size):
    told = []
    trainer = types.SimpleNamespace(
        net=nets[comm.rank], ctx=[mx.cpu()], comm=comm, steps=1, stop_reason=None,
        progress=types.SimpleNamespace(step=1), evaluated=lambda *each: told.append(each),
    )  # fmt: skip
    Verification([pack], 1, flip, folds=5, batch_size=batch_size).step_end(trainer)
    return told


@pytest.mark.parametrize(("size", "batch_size"), [(2, 8), (3, 16), (4, 16)])
def test_all_ranks_embed_a_share_and_the_result_is_that_of_one(pack, nets, size, batch_size):
    for flip in ("none", "sum"):
        (want,) = evaluate(Local(), nets, pack, flip, batch_size)
        results, calls = on_ranks(
            size, lambda comm, flip=flip: evaluate(comm, nets, pack, flip, batch_size)
        )
        assert results[0] == [want]  # to the last bit: the batches are the same
        assert results[1:] == [[(np.float32(want[0]), {})]] * (size - 1)
        assert {shape[0] for name, shape in calls if name.endswith("outputs")} == {
            Share(pack, batch_size, 0, size).rows
        }


def test_shares_are_the_pack(pack):
    for size, want in ((1, [40]), (2, [32, 8]), (4, [16, 16, 8, 0])):
        shares = [Share(pack, 16, rank, size) for rank in range(size)]
        parts = [[batch for batch in share.iter_batches(16)] for share in shares]
        assert [sum(map(len, part)) for part in parts] == want
        joined = [batch for part in parts for batch in part]
        for got, expected in zip(joined, pack.iter_batches(16)):
            np.testing.assert_array_equal(got, expected)


def test_a_broken_image_of_one_share_is_an_error_of_all(pack, nets):
    bins = list(pack.bins)
    bins[35] = b"not an image"
    broken = VerificationPack(bins, pack.issame, name="broken")

    def work(comm):
        with pytest.raises((DataError, TrainingError), match="image 35") as caught:
            evaluate(comm, nets, broken, "none", 8)
        return type(caught.value)

    assert on_ranks(2, work)[0] == [TrainingError, DataError]
