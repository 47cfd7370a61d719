"""The stored cases of Partial FC, run by whatever ranks there are: rows, gradients, chains."""

import numpy as np

from gluonface._compat import mx
from gluonface.loss import get_loss
from gluonface.parallel import PartialFC

nd = mx.nd
LRS = (0.1, 0.1, 0.01)


def ranks_of(data):
    """Return how many ranks a case is of."""
    return len(data["class_start"]) - 1


def head_of(data, comm, **kwargs):
    """Return the head of a case with the case's centres."""
    margin = get_loss(
        "cosface" if "m" in data and data["m"] == 0.4 else "arcface",
        margin=data["m"].item(),
        scale=data["s"].item(),
    )
    classes, size = data["weight0"].shape
    kwargs.setdefault("sample_rate", 0.999)  # the sample is given; this only says that there is one
    head = PartialFC(margin, classes, size, comm=comm, **kwargs)
    head.load_rows("weight", 0, data["weight0"].astype(np.float32))
    return head


def step(head, data, t, index=True):
    """Run the step `t` of a case on this rank's rows; return losses and embedding gradients."""
    rank, ranks = head.comm.rank, head.comm.size
    x, labels = data[f"embeddings_step{t}"], data[f"labels_step{t}"]
    total = len(x)
    each = total // ranks
    rows = slice(rank * each, (rank + 1) * each)
    x = nd.array(x[rows])
    x.attach_grad()
    chosen = data[f"index_step{t}_rank{rank}"] if index else None
    with mx.autograd.record():
        loss = head(x, labels[rows], index=chosen)
        mean = loss.sum() / total
    mean.backward()
    return loss.asnumpy(), x.grad.asnumpy()


def gradient(head):
    """Return the pending gradient of the rows, complete and in the order of the sample."""
    head.gradient_square_sum()  # brings the rows' gradients into their final form
    if not head.class_centers.pending:
        return np.zeros((0, head.width), np.float32)
    (pending,) = head.class_centers.pending
    found = pending.grad
    return np.array(found if isinstance(found, np.ndarray) else found.asnumpy())


def first(data, comm, **kwargs):
    """Return losses, embedding gradients and row gradients of a case's first step."""
    head = head_of(data, comm, **kwargs)
    loss, grad = step(head, data, 0)
    return {"loss": loss, "grad": grad, "rows": gradient(head)}


def chain(data, comm, **kwargs):
    """Return mean losses, final rows and momentum of a case's three steps of momentum SGD."""
    head = head_of(data, comm, **kwargs)
    head.set_optimizer("sgd", momentum=0.9, wd=5e-4)
    head.load_rows("momentum", 0, data["mom0_mxnet"].astype(np.float32))
    losses = []
    for t, lr in enumerate(LRS):
        losses.append(step(head, data, t)[0])
        head.update(lr)
    rows = head.row_arrays()
    arrays = {key: np.array(rows[key]) for key in ("weight", "momentum")}
    return {"losses": np.array(losses), **arrays}
