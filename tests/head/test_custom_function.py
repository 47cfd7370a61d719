"""Hand-written backward functions in autograd: requests, lifetime, errors."""

import gc

import numpy as np
import pytest
from plain_cases import batch, head_of

from gluonface._compat import mx
from gluonface.head import custom_function

nd = mx.nd


@pytest.mark.parametrize("loss", ["softmax", "cosface"])
def test_gradients_add_up_when_asked(loss):
    x, labels = batch()
    head = head_of(loss)
    single = []
    for rows in (slice(0, 4), slice(4, 8)):
        with mx.autograd.record():
            total = head(x[rows], labels[rows]).sum()
        total.backward()
        single.append([p.grad().asnumpy() for p in head.params.values()])
    head.collect_params().setattr("grad_req", "add")
    head.collect_params().zero_grad()
    for rows in (slice(0, 4), slice(4, 8)):
        with mx.autograd.record():
            total = head(x[rows], labels[rows]).sum()
        total.backward()
    for parameter, a, b in zip(head.params.values(), *single):
        np.testing.assert_allclose(parameter.grad().asnumpy(), a + b, rtol=1e-6, atol=1e-6)


def test_frozen_centres_still_pass_the_gradient_on():
    x, labels = batch()
    x.attach_grad()
    head, frozen = head_of(), head_of()
    frozen.weight.grad_req = "null"
    grads = []
    for each in (head, frozen):
        with mx.autograd.record():
            total = each(x, labels).sum()
        total.backward()
        grads.append(x.grad.asnumpy())
    np.testing.assert_array_equal(*grads)


def test_outside_of_recording_it_only_computes_and_keeps_nothing():
    x, labels = batch()
    head = head_of()
    gc.collect()
    nd.waitall()
    before = set(custom_function._alive)  # MXNet may let go of other tests' at any time
    with mx.autograd.record():
        want = head(x, labels)
    kept = set(custom_function._alive) - before
    assert len(kept) == 1
    np.testing.assert_array_equal(head(x, labels).asnumpy(), want.asnumpy())
    del want
    gc.collect()
    nd.waitall()
    assert not kept & set(custom_function._alive)


def test_a_second_backward_is_an_error_and_no_abort():
    x, labels = batch()
    head = head_of()
    with mx.autograd.record():
        loss = head(x, labels)
    loss.backward(retain_graph=True)
    nd.waitall()
    loss.backward()
    with pytest.raises(mx.base.MXNetError):
        head.weight.grad().asnumpy()
