"""The loss of batches that Mixup or CutMix made."""

import numpy as np

from .._compat import mx

__all__ = ["head_losses"]


def head_losses(head, embedding, batch):
    """Return the losses of a batch, mixed or not.

    A mixed image has the label y of its own share s and the label z of the image that was mixed
    in. Its loss is ``s * L(y) + (1 - s) * L(z)`` with the margin on the class of each term. The
    head is called once, with every embedding twice: so both labels are positive classes of the
    same step, whatever the head samples and on however many ranks, and a loss with batch
    statistics updates them once. Code that gives the head y alone and swaps the label afterwards
    leaves the margin on y in both terms.

    Parameters
    ----------
    head : gluonface.head.PartialFC
        Or anything called as ``head(embedding, labels)``.
    embedding : NDArray (B, D)
    batch : gluonface.data.Batch

    Returns
    -------
    NDArray (B,) float32
    """
    if getattr(batch, "shares", None) is None:
        return head(embedding, batch.labels)
    labels = np.concatenate([batch.labels, batch.others])
    losses = head(mx.nd.concat(embedding, embedding, dim=0), labels).reshape((2, -1))
    own = mx.nd.array(batch.shares, ctx=losses.context)
    return (losses * mx.nd.stack(own, 1 - own)).sum(axis=0)
