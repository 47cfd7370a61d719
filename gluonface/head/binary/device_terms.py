"""The terms of a binary loss of one rank's classes on a GPU: as `terms`, in MXNet's operators."""

import numpy as np

from ..._compat import mx
from ..array_operations import CACHED, add_at, inverse_norms, scatter
from .terms import BinaryTerms

__all__ = ["DeviceTerms"]

nd = mx.nd
BLOCK = 32 * CACHED  # numbers of a block that keep a GPU busy
NO_LOGIT = -1e30


class DeviceTerms(BinaryTerms):
    """All samples against the classes of one rank, as `BinaryTerms`.

    Blocks are (samples, classes), and the logits are computed again in the backward pass.
    """

    def forward(self, x, recording):
        """As `BinaryTerms.forward`; the figures are read, so Python waits."""
        ctx, shard = self.settings.ctx, self.shard
        self.x, sign = x, float(self.margin.bias_sign)
        self.inverse = inverse_norms(shard.weight) if shard.inverse is None else shard.inverse
        self.bias = (self.shared if self.shared is not None else shard.bias) * sign
        weight = shard.column_weight
        self.column_weight = None if weight is None else nd.array(weight, ctx=ctx)
        if shard.zeros_are_absent:
            here = self.inverse > 0
            self.column_weight = here if weight is None else self.column_weight * here
        losses, slopes = nd.zeros((self.total,), ctx=ctx), nd.zeros((self.total,), ctx=ctx)
        grad_x, figures = nd.zeros(x.shape, ctx=ctx), nd.zeros((3,), ctx=ctx)
        top = nd.array([NO_LOGIT], ctx=ctx)
        for block in self._blocks():
            rows = shard.weight[block]
            found = self._derivatives(block, rows)
            losses, slopes = losses + found["losses"], slopes + found["slopes"]
            figures = figures + found["figures"]
            top = nd.maximum(top, found["top"])
            if recording:
                inverse = nd.expand_dims(self.inverse[block], axis=0)
                grad_x = grad_x + nd.dot(nd.broadcast_mul(found["by_cosine"], inverse), rows)
        if recording:
            self.grad_x, self.by_bias = grad_x, slopes * sign
        return losses, (*figures.asnumpy().tolist(), float(top.asscalar()))

    def write_gradients(self, grad, weight, bias):
        """As `BinaryTerms.write_gradients`."""
        if weight is None and bias is None:
            return
        rows, x = self.shard.backward[0], self._weighted(grad)
        for block in self._blocks():
            slopes = self._derivatives(block, rows[block])["by_cosine"]
            if bias is not None:
                found = nd.dot(slopes, grad, transpose_a=True)
                _put(bias, block, found * (self.margin.bias_sign / self.settings.scale))
            if weight is not None:
                inverse = nd.expand_dims(self.inverse[block], axis=1)
                found = nd.broadcast_mul(nd.dot(slopes, x, transpose_a=True), inverse)
                along = nd.sum(found * rows[block], axis=1, keepdims=True) * nd.square(inverse)
                _put(weight, block, found - nd.broadcast_mul(rows[block], along))

    def gradient_rows(self, block, x):
        """As `BinaryTerms.gradient_rows`."""
        slopes = self._derivatives(block, self.shard.weight[block])["by_cosine"]
        inverse = nd.expand_dims(self.inverse[block], axis=1)
        return nd.broadcast_mul(nd.dot(slopes, x, transpose_a=True), inverse)

    def _weighted(self, grad):
        return nd.broadcast_mul(self.x, nd.expand_dims(grad, axis=1))

    def _blocks(self):
        step = max(1, min(BLOCK // max(1, self.total), self.settings.chunk or self.size))
        for first in range(0, self.size, step):
            yield slice(first, min(self.size, first + step))

    def _derivatives(self, block, rows):
        """Return the derivatives by the cosines (N, n), and sums, of a block's classes."""
        settings, margin, ctx = self.settings, self.margin, self.settings.ctx
        a, b = np.searchsorted(self.columns, (block.start, block.stop))
        cosine = nd.dot(self.x, rows, transpose_b=True)
        cosine = nd.broadcast_mul(cosine, nd.expand_dims(self.inverse[block], axis=0))
        value, slope = margin.rest(nd, cosine, settings.strength)
        bias = self.bias if self.shared is not None else self.bias[block]
        logits = nd.broadcast_add(value * settings.scale, nd.expand_dims(bias, axis=0))
        if settings.filter_above is not None:
            far = cosine > settings.filter_above
            logits = nd.where(far, nd.full(logits.shape, NO_LOGIT, ctx=ctx), logits)
        own = None
        if b > a:  # MXNet has no arrays of size 0
            samples = nd.array(self.samples[a:b], ctx=ctx, dtype="int64")
            columns = nd.array(self.columns[a:b] - block.start, ctx=ctx, dtype="int64")
            own = nd.stack(samples, columns)
            own_cosine = nd.gather_nd(cosine, own)
            value, own_slope = margin.own(nd, own_cosine, settings.strength)
            own_bias = bias if self.shared is not None else nd.take(bias, columns)
            own_logit = nd.broadcast_add(value * settings.scale, own_bias)
            scatter(logits, own, own_logit)
        top = nd.max(logits).reshape((1,))
        if own is not None:
            scatter(logits, own, nd.full((b - a,), NO_LOGIT, ctx=ctx))
        terms, slopes = _softplus(logits), nd.sigmoid(logits)
        if self.column_weight is not None:
            weight = nd.expand_dims(self.column_weight[block], axis=0)
            terms, slopes = nd.broadcast_mul(terms, weight), nd.broadcast_mul(slopes, weight)
        losses = nd.sum(terms, axis=1) * margin.negative_weight
        sums = nd.sum(slopes, axis=1) * margin.negative_weight
        by_cosine = slopes * (margin.negative_weight * settings.scale)
        if slope is not None:
            by_cosine = by_cosine * slope
        figures = nd.zeros((3,), ctx=ctx)
        if own is not None:
            by_logit = nd.sigmoid(-own_logit) * -margin.positive_weight
            positive = _softplus(-own_logit) * margin.positive_weight
            losses = losses + add_at(losses.shape, samples, positive)
            sums = sums + add_at(losses.shape, samples, by_logit)
            own_slope = 1.0 if own_slope is None else own_slope
            scatter(by_cosine, own, by_logit * own_slope * settings.scale)
            sums_of = (own_logit > 0, own_cosine, nd.square(own_cosine))
            figures = nd.concat(*map(nd.sum, sums_of), dim=0)
        found = {"by_cosine": by_cosine, "losses": losses, "slopes": sums}
        return {**found, "figures": figures, "top": top}


def _softplus(values):
    """Return log(1 + exp(values)); MXNet's own switches to another formula above 20."""
    return nd.relu(values) + nd.log1p(nd.exp(-nd.abs(values)))


def _put(target, block, values):
    """Write or add values to some rows of an NDArray, as a pair (array, add) says."""
    array, add = target
    array[block] = array[block] + values if add else values
