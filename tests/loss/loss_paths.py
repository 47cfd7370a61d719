"""What the tests of the losses share."""

import importlib

import numpy as np
import pytest

from gluonface._compat import mx
from gluonface.errors import InputError
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


def batch(n=7, classes=9, size=12, seed=0, k=1):
    """Return embeddings, class centres (k rows for each class) and labels.

    The targets' angles span nearly 0 to pi.
    """
    rng = np.random.default_rng(seed)
    weight = rng.normal(size=(classes * k, size))
    labels = rng.integers(0, classes, n)
    embeddings = rng.normal(size=(n, size)) * 3
    embeddings[0] = weight[k * labels[0]] + 0.1 * rng.normal(size=size)
    if n > 1:
        embeddings[1] = -weight[k * labels[1]] + 0.1 * rng.normal(size=size)
    return embeddings, weight, labels


def batch_of(margin, **kwargs):
    """Return `batch` and what else the margin has for each class, as keyword arguments."""
    x, w, labels = batch(k=margin.subcenters, **kwargs)
    classes, extra = len(w) // margin.subcenters, {}
    if margin.has_bias:
        extra["bias"] = np.linspace(-1, 1, classes)
    if margin.has_shared_bias:
        extra["bias"] = np.array([1.5])
    if margin.has_class_margin:
        extra["class_margin"] = np.linspace(0.1, 0.6, classes)
    if margin.uses_bank:
        rows = w + np.random.default_rng(7).normal(size=w.shape)
        rows[[labels[-1], (labels[0] + 1) % classes]] = 0.0  # classes not seen yet
        extra["bank_rows"] = rows
    return x, w, labels, extra


def twin_keys(extra):
    """Return the names in a twin's result of what `plain` and `sharded` return, in order."""
    return ["loss", "grad_embeddings", "grad_weight", *(f"grad_{key}" for key in extra)]


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
    """Return what a margin is applied to: cosines, or inner products (with a bias)."""
    if margin.unit_embedding:
        x = nd.broadcast_div(x, nd.norm(x, axis=1, keepdims=True))
    if margin.unit_weight:
        w = nd.broadcast_div(w, nd.norm(w, axis=1, keepdims=True))
    out = nd.dot(x, w, transpose_b=True)
    if margin.subcenters > 1:
        out = nd.max(nd.reshape(out, shape=(0, -1, margin.subcenters)), axis=2)
    return out if bias is None else nd.broadcast_add(out, nd.expand_dims(bias, 0) / margin.scale)


def begin(margin, classes, state=None):
    """Set the margin's state to the first one, or to `state`."""
    margin.reset()
    margin.prepare(classes)
    margin.state.update(state or {})


def plain(
    margin, embeddings, weight, labels, *, smoothing=0.0, filter_above=None, hybrid=False,
    state=None, **extra,
):  # fmt: skip
    """Run a margin through autograd: losses and gradients by embeddings, weight and `extra`."""
    begin(margin, len(weight) // margin.subcenters, state)
    block = MarginSoftmaxLoss(margin, label_smoothing=smoothing, filter_above=filter_above)
    if hybrid:
        block.hybridize()
    names = [key for key, value in extra.items() if value is not None]

    def compute(x, w, *rest):
        more = dict(zip(names, rest))
        bias = None if margin.family == "binary" else more.pop("bias", None)
        cosine = scores(margin, x, w, bias)
        if margin.uses_norm:
            more["norm"] = nd.norm(x, axis=1)
        return block(cosine, labels, **more)

    return differentiate(compute, embeddings, weight, *(extra[name] for name in names))


def head_of(margin, weight, bias=None, class_margin=None, state=None, bank_rows=None, **kwargs):
    """Return a `PartialFC` with these parameters; `weight` (C k, D)."""
    k = margin.subcenters
    classes, size = len(weight) // k, weight.shape[1]
    begin(margin, classes, state)
    head = PartialFC(margin, classes, size, **kwargs)
    head.set_centers(weight if k == 1 else np.reshape(weight, (classes, k, size)))
    if bank_rows is not None:
        head.load_rows("bank", 0, bank_rows)
    for parameter, values in ((head.bias, bias), (head.class_margin, class_margin)):
        if parameter is not None and values is not None:
            if parameter is not head.bias or not margin.has_shared_bias:
                values = values[head.start : head.stop]
            parameter.set_data(nd.array(values))
    return head


def sharded(margin, embeddings, weight, labels, *, smoothing=0.0, state=None, **extra):
    """Run a margin through PartialFC in one process; the same outputs as `plain`."""
    head = head_of(margin, weight, state=state, label_smoothing=smoothing, **extra)
    out = differentiate(lambda x: head(x, labels), embeddings)
    out.append(head.weight.grad().asnumpy().reshape(weight.shape))
    return out + [p.grad().asnumpy() for p in (head.bias, head.class_margin) if p is not None]


def states(margin):
    """Return the margin's state as floats."""
    return {k: float(v if isinstance(v, float) else v.asscalar()) for k, v in margin.state.items()}


def paths_of(margin):
    """Return the paths that a margin can take: a block has no bank."""
    return (sharded,) if margin.uses_bank else (plain, sharded)


def smooths(margin):
    """Return whether a margin can have label smoothing."""
    try:
        margin.refuse_smoothing(0.1)
    except InputError:
        return False
    return True


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
