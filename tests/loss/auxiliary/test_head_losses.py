"""Focal loss, hard-example mining and label smoothing: what acts on a head's losses."""

import numpy as np
import pytest
from aux_paths import cases, close, differentiate, on_ranks, twin_of

from gluonface._compat import mx
from gluonface.errors import InputError
from gluonface.loss import MarginSoftmaxLoss, get_loss
from gluonface.loss.auxiliary import get_auxiliary
from gluonface.parallel import PartialFC

nd = mx.nd


@pytest.mark.parametrize(("name", "params"), cases("losses"))
def test_values_and_gradients_are_the_twins(name, params):
    losses = np.random.default_rng(0).uniform(0.01, 9, size=11)
    want = twin_of(name).run(losses, **params)
    got, (grad,), _ = differentiate(get_auxiliary(name, **params), losses)
    close(got, want["loss"], 1e-5)
    close(grad, want["grad_losses"], 1e-4)
    rng, step = np.random.default_rng(1), 1e-7
    toward = rng.normal(size=11)
    low, high = (twin_of(name).run(losses + s * toward, **params)["loss"] for s in (-step, step))
    slope = (high.mean() - low.mean()) / 2 / step
    assert slope == pytest.approx((want["grad_losses"] * toward).sum(), rel=1e-5, abs=1e-8)


@pytest.mark.parametrize(("name", "params"), cases("logits"))
def test_logits_twin(name, params):
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(6, 5)) * 3, np.arange(6) % 5
    want = twin_of(name).run(logits, labels, **params)
    got, (grad,), _ = differentiate(lambda z: get_auxiliary(name, **params)(z, labels), logits)
    close(got, want["loss"], 1e-5)
    close(grad, want["grad_logits"], 1e-4)


@pytest.mark.parametrize("gamma", [0.0, 0.3, 1.0, 2.0])
def test_focal_at_the_ends(gamma):
    losses = np.array([0.0, 1e-30, 1e-7, 100.0, 1e4])
    got, (grad,), _ = differentiate(get_auxiliary("focal", gamma=gamma), losses)
    assert np.isfinite(got).all()
    assert np.isfinite(grad).all()
    close(got[3:], losses[3:], 1e-6)  # hopeless samples keep their loss
    close(grad[3:], np.full(2, 0.2), 1e-6)


def test_focal_of_a_head():
    head = PartialFC("arcface", 6, 8, seed=1)
    x, labels = np.random.default_rng(0).normal(size=(5, 8)), np.arange(5)
    plain, _, _ = differentiate(lambda e: head(e, labels), x)
    got, _, _ = differentiate(lambda e: get_auxiliary("focal")(head(e, labels)), x)
    close(got, twin_of("focal").run(plain)["loss"], 1e-5)


def test_ohem_keeps_exactly_k_of_equal_losses_and_survives_infinite_ones():
    got, (grad,), _ = differentiate(get_auxiliary("ohem", keep=0.5), np.ones(8))
    assert (got > 0).sum() == 4
    assert grad.sum() == pytest.approx(1.0)
    got = get_auxiliary("ohem", keep=0.5)(nd.array([np.inf, 1.0, 2.0, 3.0])).asnumpy()
    np.testing.assert_array_equal(got, [np.inf, 0, 0, 6])


def test_ohem_chooses_from_the_batch_of_all_ranks():
    losses = np.array([5.0, 1.0, 4.0, 0.5, 3.0, 2.0])
    parts = [slice(0, 2), slice(2, 6)]
    want, (grad,), _ = differentiate(get_auxiliary("ohem"), losses)

    def work(comm):
        ohem = get_auxiliary("ohem").initialize(comm=comm)
        # The mean over this rank is scaled to its share of the mean over all.
        share = losses[parts[comm.rank]].size / losses.size
        got, (own,), _ = differentiate(ohem, losses[parts[comm.rank]])
        return got, own * share

    for rows, (got, own) in zip(parts, on_ranks(2, work)):
        np.testing.assert_array_equal(got, want[rows])
        close(own, grad[rows], 1e-6)


def test_label_smoothing_is_that_of_the_heads():
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(6, 5)) * 3, np.arange(6) % 5
    block = MarginSoftmaxLoss(get_loss("softmax"), label_smoothing=0.2)
    got = get_auxiliary("label_smoothing", smoothing=0.2)(nd.array(logits), labels)
    close(got.asnumpy(), block(nd.array(logits), labels).asnumpy(), 1e-6)
    head = PartialFC("softmax", 5, 8, label_smoothing=0.2, seed=3)
    x = rng.normal(size=(6, 8))
    scores = nd.dot(nd.array(x), nd.array(head.get_centers()), transpose_b=True)
    got = get_auxiliary("label_smoothing", smoothing=0.2)(scores, labels)
    close(head(nd.array(x), labels).asnumpy(), got.asnumpy(), 1e-5)
    one = get_auxiliary("label_smoothing")(nd.ones((2, 1)), [0, 0])
    close(one.asnumpy(), 0.0, 1e-5, scale=1.0)  # of one class, but for rounding in log_softmax


def test_wrong_shapes_are_named():
    with pytest.raises(InputError, match=r"ohem: losses have the shape \(2, 2\)"):
        get_auxiliary("ohem")(nd.zeros((2, 2)))
    with pytest.raises(InputError, match="label_smoothing: logits"):
        get_auxiliary("label_smoothing")(nd.zeros((2,)), [0, 0])
    with pytest.raises(InputError, match="3 labels"):
        get_auxiliary("label_smoothing")(nd.zeros((2, 4)), [0, 0, 1])
