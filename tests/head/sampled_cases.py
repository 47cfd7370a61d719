"""A small head that samples, a batch for it, and one pass forward and backward."""

import numpy as np
from simulated_ranks import on_ranks

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


def by_ranks(sizes, name, steps=2, **kwargs):
    """Train sampled heads on ranks with so many rows each; return the joined results."""

    def work(comm):
        head = head_of(name, comm=comm, **kwargs)
        head.set_optimizer("sgd", momentum=0.9, wd=0.01)
        first = sum(sizes[: comm.rank])
        rows, out = slice(first, first + sizes[comm.rank]), {}
        for t in range(steps):
            x, labels = batch(n=sum(sizes), seed=t)
            found = backward(head, x[rows], labels[rows], share=1.0 / sum(sizes))
            out[f"loss{t}"], out[f"grad{t}"] = found
            out[f"sample{t}"] = np.array([], int)
            if head.class_centers.pending:
                out[f"sample{t}"] = head.class_centers.pending[0].index + head.start
            head.update(0.02)
        return {**out, "weight": np.array(head.row_arrays()["weight"])}

    found, calls = on_ranks(len(sizes), work)
    return {key: np.concatenate([each[key] for each in found]) for key in found[0]}, calls
