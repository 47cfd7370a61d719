"""What the tests of the losses share."""

import importlib

import numpy as np
import pytest

from gluonface._compat import mx
from gluonface.loss import LOSSES, MarginSoftmaxLoss
from gluonface.parallel import PartialFC

nd = mx.nd


def twin_of(name):
    """Return the float64 twin of a registered loss; a loss without one fails here."""
    return importlib.import_module(f"reference.{LOSSES.get(name).__module__.rsplit('.', 1)[1]}")


def every_case():
    """Return (loss, parameters) for every registered loss and every case its twin names."""
    return [
        pytest.param(name, params, id=f"{name}-" + "-".join(f"{k}{v}" for k, v in params.items()))
        for name in LOSSES.list()
        for params in twin_of(name).CASES
    ]


def batch(n=7, classes=9, size=12, seed=0):
    """Return embeddings, class centres and labels whose target angles span nearly 0 to pi."""
    rng = np.random.default_rng(seed)
    weight = rng.normal(size=(classes, size))
    labels = rng.integers(0, classes, n)
    embeddings = rng.normal(size=(n, size)) * 3
    embeddings[0] = weight[labels[0]] + 0.1 * rng.normal(size=size)
    embeddings[1] = -weight[labels[1]] + 0.1 * rng.normal(size=size)
    return embeddings, weight, labels


def differentiate(compute, embeddings, *params):
    """Return losses and gradients of their mean by the embeddings and `params`, as NumPy."""
    arrays = [nd.array(values, dtype="float32") for values in (embeddings, *params)]
    for array in arrays:
        array.attach_grad()
    with mx.autograd.record():
        loss = compute(*arrays)
        mean = loss.mean()
    mean.backward()
    return [loss.asnumpy(), *(array.grad.asnumpy() for array in arrays)]


def scores(margin, x, w, bias=None):
    """Return what a margin is applied to: cosines, or W x + b for the plain softmax."""
    if margin.unit_embedding:
        x = nd.broadcast_div(x, nd.norm(x, axis=1, keepdims=True))
    if margin.unit_weight:
        w = nd.broadcast_div(w, nd.norm(w, axis=1, keepdims=True))
    out = nd.dot(x, w, transpose_b=True)
    return out if bias is None else nd.broadcast_add(out, nd.expand_dims(bias, axis=0))


def plain(margin, embeddings, weight, labels, bias=None, smoothing=0.0, hybrid=False):
    """Run a margin through autograd: losses and gradients by embeddings, weight (and bias)."""
    block = MarginSoftmaxLoss(margin, label_smoothing=smoothing)
    if hybrid:
        block.hybridize()
    extra = [] if bias is None else [bias]
    return differentiate(
        lambda x, w, *b: block(scores(margin, x, w, *b), labels), embeddings, weight, *extra
    )


def sharded(margin, embeddings, weight, labels, bias=None, smoothing=0.0):
    """Run a margin through PartialFC in one process; the same outputs as `plain`."""
    head = PartialFC(margin, *weight.shape, label_smoothing=smoothing)
    head.set_centers(weight)
    if bias is not None:
        head.bias.set_data(nd.array(bias))
    out = differentiate(lambda x: head(x, labels), embeddings)
    return out + [p.grad().asnumpy() for p in (head.weight, head.bias) if p is not None]


PATHS = {
    "eager": plain,
    "hybrid": lambda *args, **kwargs: plain(*args, hybrid=True, **kwargs),
    "sharded": sharded,
}


def close(got, want, rtol):
    """Assert closeness relative to the array's largest entry.

    float32 sums err relative to their largest term, so an entry near zero that cancels can be no
    better than that.
    """
    want = np.asarray(want)
    np.testing.assert_allclose(got, want, rtol=rtol, atol=rtol * np.abs(want).max())
