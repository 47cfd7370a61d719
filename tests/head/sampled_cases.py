"""A small head that samples, a batch for it, and one pass forward and backward."""

import numpy as np

from gluonface._compat import mx
from gluonface.loss import get_loss
from gluonface.parallel import PartialFC

nd = mx.nd
CLASSES, SIZE = 40, 8


def batch(n=6, seed=0, classes=CLASSES):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, SIZE)).astype("f"), rng.integers(0, classes, n)


def head_of(loss="arcface", classes=CLASSES, **kwargs):
    head = PartialFC(get_loss(loss), classes, SIZE, **{"sample_rate": 0.3, **kwargs})
    k = head.margin.subcenters
    if head.class_centers.optimizer is None:
        weight = np.random.default_rng(9).normal(size=(classes, SIZE * k)).astype("f")
        head.load_rows("weight", 0, weight)
    return head


def backward(head, x, labels, share=None, **kwargs):
    """Run forward and backward; return losses and embedding gradients."""
    x = nd.array(x)
    x.attach_grad()
    with mx.autograd.record():
        loss = head(x, labels, **kwargs)
        total = loss.sum() * (share or 1.0 / len(labels))
    total.backward()
    return loss.asnumpy(), x.grad.asnumpy()


def close(got, want, rtol):
    want = np.asarray(want)
    np.testing.assert_allclose(got, want, rtol=rtol, atol=rtol * np.abs(want).max(initial=0))
