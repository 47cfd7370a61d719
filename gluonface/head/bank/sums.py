"""Sums of exponentials over the rows of a bank, some rows at a time; logits are not stored."""

import numpy as np

from ..._compat import mx
from ..array_operations import dense, exponentials, inverse_norms, on_host, scale_columns
from ..class_chunk import NO_LOGIT

__all__ = ["sum_over_rows"]

nd = mx.nd
BLOCK = 1 << 20  # logits computed at a time: 4 MiB


def sum_over_rows(bank, shard, settings, x, labels, shift=None, toward=False):
    """Return the sums over a rank's rows in the step but for each sample's own and zeros.

    Parameters
    ----------
    bank : EmbeddingBank
    shard : Shard or None
        The classes of the step; None if there are none.
    settings : StepSettings
        For scale, filter, device and chunk.
    x : NDArray (N, D)
        Of unit length.
    labels : numpy.ndarray (N,) int64
    shift : NDArray (m,), optional
        Added to the logits of the classes.
    toward : bool, default False
        Whether the third result is wanted.

    Returns
    -------
    top, spread : NDArray (N,)
        The largest logit, and the sum of exp(logit - largest).
    toward : NDArray (N, D) or None
        The sum of exp(logit - largest) times the row as a unit vector.
    """
    ctx, total = settings.ctx, len(labels)
    top, spread = nd.full((total,), NO_LOGIT, ctx=ctx), nd.zeros((total,), ctx=ctx)
    direction = nd.zeros(x.shape, ctx=ctx) if toward else None
    if shard is None:
        return top, spread, direction
    samples, columns = shard.find(labels)
    for block in _blocks(shard.weight.shape[0], total, settings):
        rows = bank.read(block if shard.index is None else shard.index[block])
        inverse, scores = inverse_norms(rows), dense(x, rows)
        added = (inverse == 0) * float(NO_LOGIT)
        if shift is not None:
            added = added + shift[block]
        factors = inverse
        if settings.filter_above is not None:
            scale_columns(scores, inverse)
            far = nd.full(scores.shape, NO_LOGIT, ctx=ctx)
            scores, factors = nd.where(scores > settings.filter_above, far, scores), None
        own = masked = None
        here = np.flatnonzero((columns >= block.start) & (columns < block.stop))
        if len(here):  # MXNet has no arrays of size 0
            own = np.stack([samples[here], columns[here] - block.start])
            own = nd.array(own, ctx=ctx, dtype="int64")
            masked = nd.full((len(here),), NO_LOGIT, ctx=ctx)
        found = exponentials(scores, settings.scale, factors, added, own, masked)
        higher = nd.maximum(top, found[0])
        before, now = nd.exp(top - higher), nd.exp(found[0] - higher)
        top, spread = higher, spread * before + found[1] * now
        if toward:
            scale_columns(scores, inverse)
            before, now = (nd.expand_dims(each, axis=1) for each in (before, now))
            some = nd.broadcast_mul(nd.dot(scores, rows), now)
            direction = nd.broadcast_mul(direction, before) + some
        if on_host(x):  # `rows` may be the bank's memory; and these arrays are freed
            (direction if toward else spread).wait_to_read()
    return top, spread, direction


def _blocks(size, samples, settings):
    """Yield slices of the classes."""
    numbers = BLOCK if settings.ctx.device_type == "cpu" else 32 * BLOCK
    step = max(1, min(numbers // samples, settings.chunk or size))
    for first in range(0, size, step):
        yield slice(first, min(size, first + step))
