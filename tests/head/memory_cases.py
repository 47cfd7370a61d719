"""A small head that keeps the last embedding of each class, and USS beside it."""

import numpy as np

from gluonface._compat import mx
from gluonface.head import PartialFC
from gluonface.loss import get_loss
from gluonface.loss.auxiliary import get_auxiliary

nd = mx.nd
CLASSES, SIZE = 40, 8


def head_of(loss="cosface", comm=None, memory=None, dtype="float32", classes=CLASSES, **kwargs):
    head = PartialFC(get_loss(loss), classes, SIZE, comm=comm, **kwargs)
    head.remember(dtype)
    if memory is not None:
        head.load_rows("last_embedding", 0, memory)
    return head


def uss_of(bias=None, comm=None, **params):
    loss = get_auxiliary("uss", **params).initialize(CLASSES, SIZE, comm)
    if bias is not None:
        loss.load_state_dict({"bias": np.array([bias]), "started": 1})
    return loss


def known(seed=3):
    """Return a memory in which a quarter of the classes were not seen."""
    memory = np.random.default_rng(seed).normal(size=(CLASSES, SIZE)).astype("f")
    memory[::4] = 0.0
    return memory


def compare(head, loss, x, labels, share=None, **kwargs):
    """Return the losses of USS, and the gradients of their mean by embeddings and bias."""
    x = nd.array(x)
    x.attach_grad()
    with mx.autograd.record():
        head(x, labels, **kwargs)
        losses = head.compare_with_last(x, loss)
        total = losses.sum() * (share or 1.0 / len(labels))
    total.backward()
    return losses.asnumpy(), x.grad.asnumpy(), loss.collect_params()["bias"].grad().asnumpy()
