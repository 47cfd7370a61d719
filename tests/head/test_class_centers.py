"""Centres that are Gluon parameters."""

import numpy as np
import pytest
from plain_cases import Rank, batch, head_of

from gluonface._compat import mx

nd = mx.nd


@pytest.mark.parametrize("optimizer", ["sgd", "nag", "adam", "lamb"])
def test_any_optimizer_of_mxnet_trains_it(optimizer):
    x, _ = batch(n=16, classes=16)
    head = head_of("arcface", classes=16)
    trainer = mx.gluon.Trainer(head.collect_params(), optimizer, {"learning_rate": 0.01})
    losses = []
    for _ in range(25):
        # No wait in here: the update of the centres is queued before the backward reads them.
        with mx.autograd.record():
            loss = head(x, np.arange(16))
        loss.backward()
        trainer.step(16)
        losses.append(loss.mean().asscalar())
    assert losses[-1] < losses[0] - 5


def test_a_rank_without_classes_has_no_parameters():
    head = head_of("softmax", classes=2, comm=Rank(2, 3))
    assert head.weight is None
    assert head.bias is None
    assert list(head.collect_params()) == []
    state = head.state_dict()
    assert state["weight"].shape == (0, 16)
    head.load_state_dict(head_of("softmax", classes=2).state_dict())
    head.set_centers(np.zeros((2, 16)))


def test_learned_margins_stay_in_their_range_and_train():
    x, labels = batch()
    head = head_of("adam_softmax")
    trainer = mx.gluon.Trainer(head.collect_params(), "sgd", {"learning_rate": 5.0})
    for _ in range(3):
        with mx.autograd.record():
            loss = head(x, labels)
        loss.backward()
        nd.waitall()
        before = head.class_margin.data().asnumpy()
        assert before.min() >= 0.0
        assert before.max() <= 1.0
        trainer.step(1)
    assert before.max() == 1.0  # the pull of 50 / C per sample has reached the end
    stored = head.state_dict()
    other = head_of("adam_softmax", seed=3)
    other.load_state_dict(stored)
    np.testing.assert_array_equal(
        other.class_margin.data().asnumpy(), head.class_margin.data().asnumpy()
    )


def test_parameters_by_name():
    head = head_of("softmax", name="ids")
    assert list(head.collect_params()) == ["ids_weight", "ids_bias"]
    assert list(head.collect_params(".*bias")) == ["ids_bias"]
    assert head.collect_params() is head.params
