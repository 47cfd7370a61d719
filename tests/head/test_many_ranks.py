"""Every loss on 1, 2 and 4 shards: the same losses, gradients and state."""

import functools
import sys

import numpy as np
import pytest
from loss_paths import batch_of, close, head_of, smooths, states
from simulated_ranks import on_ranks

from gluonface._compat import mx
from gluonface.loss import LOSSES, get_loss

nd = mx.nd
CLASSES = 11


def train(comm, name, sizes, **kwargs):
    """Run two steps on this rank's rows; return what it computed, as arrays."""
    margin = get_loss(name)
    x, w, labels, extra = batch_of(margin, n=sum(sizes), classes=CLASSES, size=8, seed=5)
    rows = slice(0, len(x))
    if comm is not None:
        first = sum(sizes[: comm.rank])
        rows = slice(first, first + sizes[comm.rank])
    head = head_of(margin, w, comm=comm, **extra, **kwargs)
    x = nd.array(x[rows])
    x.attach_grad()
    for _ in range(2):  # the second one meets a state that is no longer the first
        with mx.autograd.record():
            loss = head(x, labels[rows])
            total = loss.sum() / sum(sizes)
        total.backward()
    stats = head.stats()
    parameters = (head.weight, head.bias, head.class_margin)
    banks = {f"parameter {name}": np.array(bank.rows()) for name, bank in head.banks.items()}
    return {
        "loss": loss.asnumpy(),
        "x": x.grad.asnumpy(),
        **banks,
        "state": states(margin),
        "stats": [stats[key] for key in sorted(stats)],
        **{f"parameter{i}": p.grad().asnumpy() for i, p in enumerate(parameters) if p is not None},
    }


def compare(name, sizes, **kwargs):
    want = train(None, name, (sum(sizes),), **kwargs)
    found, calls = on_ranks(len(sizes), lambda comm: train(comm, name, sizes, **kwargs))
    shared = get_loss(name).has_shared_bias
    for key in want:
        if shared and key == "parameter1":  # one number, summed over the ranks
            assert all(np.array_equal(each[key], found[0][key]) for each in found)
            close(found[0][key], want[key], 1e-5)
        elif kwargs.get("mode") == "replicated" and key.startswith("parameter"):
            for each in found:  # summed over the ranks already, and identical
                assert np.array_equal(each[key], found[0][key])
            close(found[0][key], want[key], 1e-5)
        elif key in ("state", "stats"):
            assert all(each[key] == found[0][key] for each in found)  # identical, not close
            # A mean of cosines may be near 0: float32 rounds each of them by up to 6e-8.
            assert found[0][key] == pytest.approx(want[key], rel=2e-6, abs=6e-8)
        else:
            # float32 sums in another order, times a scale of up to 256.
            close(np.concatenate([each[key] for each in found]), want[key], 1e-5)
    return calls


@pytest.mark.parametrize("name", LOSSES.list())
@pytest.mark.parametrize(
    "sizes",
    [pytest.param((4, 4), marks=pytest.mark.slow, id="2 ranks"), (2, 2, 2, 2)],
    ids=[None, "4 ranks"],
)
def test_shards_do_not_change_losses_gradients_or_state(name, sizes):
    compare(name, sizes)


@pytest.mark.parametrize("name", LOSSES.list())
@pytest.mark.parametrize(
    "sizes",
    [(5, 3), pytest.param((3, 1, 2, 2), marks=pytest.mark.slow, id="4 ranks")],
    ids=["2 ranks", None],
)
def test_replicated_centres_are_those_of_one_process(name, sizes):
    smoothing = 0.1 if smooths(get_loss(name)) else 0.0
    calls = compare(name, sizes, mode="replicated", label_smoothing=smoothing)
    assert {call.split(".")[1] for call, _ in calls} <= {
        *("config", "labels", "stats", "target", "norm", "log_sum"),
        *("gweight", "gbias", "gshared", "gclass_margin"),
        *(["x"] if get_loss(name).uses_bank else ()),
    }


@pytest.mark.parametrize("name", ["arcface", "curricularface", "adacos", "magface", "adam_softmax"])
def test_ranks_of_unlike_batches(name):
    compare(name, (5, 1, 3), label_smoothing=0.1)


@pytest.mark.parametrize("order", ["plus", "plus_as_published"])
@pytest.mark.parametrize("mode", ["sharded", "replicated"])
def test_elastic_margins_are_ordered_over_all_ranks(order, mode, monkeypatch):
    made = functools.partial(get_loss, order=order)
    monkeypatch.setattr(sys.modules[__name__], "get_loss", made)
    compare("elastic_arcface", (4, 4), mode=mode)
    compare("elastic_cosface", (5, 1, 2), mode=mode)


@pytest.mark.parametrize(
    "params", [{"version": "v2", "norm": "S"}, {"version": "v0", "norm": "N", "gradient": "exact"}]
)
@pytest.mark.parametrize("more", [{}, {"chunk": 2, "label_smoothing": 0.1}], ids=["", "chunks"])
def test_logits_by_the_length_on_shards(params, more, monkeypatch):
    made = functools.partial(get_loss, **params)
    monkeypatch.setattr(sys.modules[__name__], "get_loss", made)
    compare("sphereface_r", (4, 2), **more)


@pytest.mark.parametrize(
    "name", ["cosface", "curricularface", "subcenter_arcface", "uniface", "sphereface2", "bce"]
)
def test_filter_on_shards(name):
    compare(name, (4, 4), filter_above=0.3)


@pytest.mark.parametrize("name", LOSSES.list())
def test_communication_is_what_the_family_needs(name):
    margin = get_loss(name)
    found = compare(name, (4, 4))
    calls = [call for call, _ in found]
    more = {call.split(".")[1] for call in calls} - {
        "config",
        "labels",
        "x",
        "softmax",
        "grad",
        "gx",
    }
    want = set()
    if margin.family == "hard-negative" or name == "adacos":
        want.add("target")
    if name == "adacos":
        want.add("log_sum")
    if name in ("sphereface", "magface", "adaface"):
        want.add("norm")
    if name == "adam_softmax":
        want.add("class_margin")
    if margin.family == "binary":
        assert "head.softmax" not in calls
        # The losses, and of all samples together three sums and the largest logit of each rank.
        assert dict(found)["head.loss"] == (8 + 3 + 2,)
        want |= {"loss", "gshared"} if margin.has_shared_bias else {"loss"}
    assert more == want
