"""A margin's formulas in the step, with their derivatives."""

import numpy as np
from plain_cases import batch, head_of

from gluonface._compat import mx
from gluonface.loss import Margin, get_loss
from gluonface.parallel import PartialFC

nd = mx.nd


def test_strength_is_that_of_the_forward():
    x, labels = batch()
    x.attach_grad()
    head = head_of()
    grads = []
    for strength in (0.0, 1.0):
        head.margin.strength = strength
        with mx.autograd.record():
            loss = head(x, labels)
        head.margin.strength = 0.5  # changed before the backward: of no effect on it
        loss.backward()
        grads.append(x.grad.asnumpy())
    assert np.abs(grads[0] - grads[1]).max() > 0.1 * np.abs(grads[0]).max()
    plain = PartialFC(get_loss("normface", scale=64.0), 50, 16)
    with mx.autograd.record():
        loss = plain(x, labels)
    loss.backward()
    np.testing.assert_allclose(x.grad.asnumpy(), grads[0], rtol=1e-4, atol=1e-4)


def test_any_function_of_the_other_classes_cosines_is_carried():
    class Harder(Margin):
        name = "harder"

        def others(self, F, cosine, strength, target_cosine, target):
            return F.square(cosine) * cosine

    x, labels = batch(classes=10)
    rng = np.random.default_rng(0)
    w = nd.array(rng.normal(size=(10, 16)))
    head = PartialFC(Harder(), 10, 16)
    head.set_centers(w)
    found = []
    for array in (x, w):
        array.attach_grad()
    for plain in (False, True):
        with mx.autograd.record():
            if plain:
                cosine = nd.dot(nd.L2Normalization(x), nd.L2Normalization(w), transpose_b=True)
                own = nd.one_hot(nd.array(labels), 10)
                logits = nd.where(own, cosine, cosine**3)
                loss = -nd.pick(nd.log_softmax(logits), nd.array(labels))
            else:
                loss = head(x, labels)
        loss.backward()
        by_w = w.grad if plain else head.weight.grad()
        found.append([array.asnumpy() for array in (loss, x.grad, by_w)])
    for a, b in zip(*found):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
