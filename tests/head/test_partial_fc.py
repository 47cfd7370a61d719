"""The sharded classifier in one process; `tests/distributed` has it on several."""

import numpy as np
import pytest
from plain_cases import batch, head_of

from gluonface._compat import mx
from gluonface.errors import InputError
from gluonface.parallel import PartialFC

nd = mx.nd


def test_gradient_reaches_the_network_and_adds_up_with_other_losses():
    net = mx.gluon.nn.Dense(16, in_units=4, use_bias=False)
    net.initialize(mx.init.Normal(1.0))
    data, labels = nd.random.normal(shape=(8, 4)), np.arange(8)
    head = head_of()
    grads = []
    for use in ((1, 0), (0, 1), (1, 1)):
        with mx.autograd.record():
            out = net(data)
            loss = (use[0] * head(out, labels)).sum() + (use[1] * out * out).sum()
        loss.backward()
        grads.append(net.weight.grad().asnumpy())
    assert np.abs(grads[0]).max() > 0
    np.testing.assert_allclose(grads[0] + grads[1], grads[2], rtol=1e-4, atol=1e-3)


def test_stats():
    head = head_of("cosface", classes=3, size=3)
    with pytest.raises(InputError, match="last forward"):
        head.stats()
    head.set_centers(np.eye(3))
    x = nd.array([[2, 0, 0], [0, 1, 0.9], [0, 0, -1]])
    head(x, np.array([0, 1, 2]))
    side = 1 / np.hypot(1, 0.9)
    stats = head.stats()
    # The second sample's own class is nearest, but not by the margin.
    assert stats["accuracy"] == pytest.approx(1 / 3)
    assert stats["target_cosine"] == pytest.approx((1 + side - 1) / 3, rel=1e-6)
    assert stats["max_logit"] == pytest.approx(64 * max(0.65, 0.9 * side), rel=1e-6)
    assert all(type(value) is float for value in stats.values())


@pytest.mark.parametrize(
    ("loss", "change", "words"),
    [
        ("arcface", {"filter_above": 0.0}, r"filter_above=0.0.*\(0, 1\]"),
        ("arcface", {"filter_above": 1.5}, "filter_above=1.5"),
        ("softmax", {"filter_above": 0.4}, "softmax does not compute cosines"),
        ("adacos", {"num_classes": 2}, "at least 3"),
        ("l2softmax", {"num_classes": 10**20, "embedding_size": 1}, "scale=40 is too small"),
    ],
)
def test_refused_combinations(loss, change, words):
    with pytest.raises(InputError, match=words):
        PartialFC(**{"margin": loss, "num_classes": 10, "embedding_size": 8, **change})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"num_classes": 0}, "num_classes=0"),
        ({"num_classes": 2.5}, "num_classes=2.5"),
        ({"embedding_size": 0}, "embedding_size=0"),
        ({"seed": -1}, "seed=-1"),
        ({"sample_rate": 0.0}, "sample_rate=0.0"),
        ({"sample_rate": 1.5}, "sample_rate=1.5"),
        ({"sampler": "random"}, "sampler='random'.*hash, exact"),
        ({"momentum_mode": "dense"}, "frozen, catchup, reset"),
        ({"centers": "tape"}, "memory, host, disk"),
        ({"centers": "disk"}, "needs centers_path"),
        ({"wire_dtype": "float64"}, "float32, float16"),
        ({"wire_dtype": "float16", "margin": "softmax"}, "embeddings of length 1"),
        ({"chunk": 0}, "chunk=0"),
        ({"label_smoothing": 1.0}, "label_smoothing=1.0"),
        ({"margin": "arcfase"}, "Did you mean 'arcface'"),
        ({"margin": 0.5}, "get_loss"),
    ],
)
def test_refused_arguments(change, words):
    with pytest.raises(InputError, match=words):
        PartialFC(**{"margin": "arcface", "num_classes": 10, "embedding_size": 8, **change})


def test_refused_inputs():
    head = head_of()
    x, labels = batch()
    for embeddings, given, words in (
        (nd.zeros((8, 15)), labels, r"\(8, 15\).*\(batch, 16\)"),
        (nd.zeros((8, 16, 1)), labels, "batch, 16"),
        (x, labels[:5], "5 labels for 8 embeddings"),
        (x, np.full(8, 50), "label 50 of sample 0.*from 0 to 49"),
        (x, nd.array([-1] + [0] * 7), "label -1"),
    ):
        with pytest.raises(InputError, match=words):
            head(embeddings, given)
    for centers, words in (
        (np.zeros((50, 15)), r"\(50, 16\)"),
        (np.full((50, 16), np.inf), "not finite"),
        (np.full((50, 16), "x"), "numbers"),
    ):
        with pytest.raises(InputError, match=words):
            head.set_centers(centers)
    for wrong, words in (
        ({"num_classes": 51}, "num_classes=51"),
        ({"embedding_size": 8}, "embedding_size=8"),
        ({"weight": np.zeros((49, 16))}, r"\(50, 16\)"),
    ):
        with pytest.raises(InputError, match=words):
            head.load_state_dict({**head.state_dict(), **wrong})
    with pytest.raises(InputError, match="no bias"):
        head_of("softmax").load_state_dict(head.state_dict())
