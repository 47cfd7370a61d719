"""The margin softmax on some classes of a shard: what one process computes without asking others.

One (N, n) array is alive for the margins that leave the other classes' cosines alone, two for the
rest, three with the filter, k + 2 with k centres for each class.
"""

import numpy as np

from .._compat import mx
from . import margin_gradients
from .array_operations import (
    add_at,
    class_max,
    dense,
    dense_gradients,
    exponentials,
    inverse_norms,
    on_host,
    pieces,
    scale_both,
    scale_columns,
    subtract_radial,
    weighted_columns,
    write,
)

__all__ = ["NEVER", "Part", "Shard"]

nd = mx.nd
NEVER = np.float32(-1e30)  # the largest logit of a shard without classes; exp of it is 0


class Shard:
    """The classes of this rank that take part in a step, as a step reads them.

    Attributes
    ----------
    weight : NDArray (m, k D)
        Their centres.
    centers : NDArray (m, k D)
        The same memory for the backward pass, see `untracked`.
    bias, class_margin : NDArray (m,) or None
    inverse : NDArray (m k,) or None
        1 over the lengths of the centres, if somebody knows them already.
    shift : NDArray (m,) or None
        What is added to the logits of the classes for the probability that they were sampled.
    index : numpy.ndarray (m,) int64 or None
        Sorted local ids of the classes; None for all of them.
    start, stop : int
        Global ids of the classes that the rank owns.
    """

    def __init__(self, start, stop, weight, centers, bias=None, class_margin=None):
        self.start, self.stop, self.weight, self.centers = start, stop, weight, centers
        self.bias, self.class_margin = bias, class_margin
        self.inverse = self.shift = self.index = None

    def find(self, labels):
        """Return which of the samples have their class here, and the columns of the classes."""
        rows = np.flatnonzero((labels >= self.start) & (labels < self.stop))
        columns = labels[rows] - self.start
        if self.index is not None:
            columns = np.searchsorted(self.index, columns)
        return rows, columns

    def parts(self, step, labels, chunk):
        """Return the parts that the classes are computed in, `chunk` classes each."""
        rows, columns = self.find(labels)
        size = self.weight.shape[0]
        chunk = min(size, chunk or size)
        found = []
        for first in range(0, size, chunk):
            piece = slice(first, min(size, first + chunk))
            here = (columns >= piece.start) & (columns < piece.stop)
            found.append(Part(step, self, piece, rows[here], columns[here] - piece.start))
        return found


class Part:
    """The columns `piece` of a shard.

    Parameters
    ----------
    step : ShardedSoftmax
    shard : Shard
    piece : slice
    rows, columns : numpy.ndarray (k,)
        Samples whose class is here, and the columns of the classes.
    """

    def __init__(self, step, shard, piece, rows, columns):
        self.step, self.margin, self.ctx = step, step.margin, step.head.ctx
        whole = (piece.stop - piece.start) == shard.weight.shape[0]
        k = self.margin.subcenters

        def cut(array, width=1):
            if array is None or whole:
                return array
            return array[piece.start * width : piece.stop * width]

        self.piece = None if whole else piece
        self.weight, self.centers = _rows(cut(shard.weight), k), _rows(cut(shard.centers), k)
        self.bias, self.class_margin = cut(shard.bias), cut(shard.class_margin)
        self.shift, self.inverse = cut(shard.shift), cut(shard.inverse, k)
        self.own = self.cosine = None
        if len(rows):  # MXNet has no arrays of size 0
            self.rows = nd.array(rows, ctx=self.ctx, dtype="int64")
            self.columns = nd.array(columns, ctx=self.ctx, dtype="int64")
            self.own = nd.stack(self.rows, self.columns)
        self.forget()

    def forget(self):
        """Drop the large arrays."""
        self.scores = self.p = self.nearest = self.slopes = self.allowed = None

    def compute(self):
        """Compute the scores (N, n), and those of the samples' own classes.

        They are cosines, or inner products where a side is not normalised. Where nothing but the
        softmax follows, the centres' lengths are left to be divided by there.
        """
        margin = self.margin
        k, weight = margin.subcenters, self.weight
        bias = None if self.bias is None else self.bias / self.step.scale
        scores = dense(self.step.x_all, weight, bias)
        self.late = None  # factors of the columns that are not in `scores` yet
        if margin.unit_weight:
            if self.inverse is None:
                self.inverse = inverse_norms(weight)
            plain = k == 1 and not margin.changes_others and not margin.statistics
            if plain and self.step.head.filter_above is None:
                self.late = self.inverse
            else:  # scaling N x n products is cheaper than normalising n x D centres
                scale_columns(scores, self.inverse)
        if k > 1:
            scores = self._keep_nearest(scores.reshape((0, -1, k)))
        if self.own is not None:
            self.cosine = nd.gather_nd(scores, self.own)
            if self.late is not None:
                self.cosine = self.cosine * nd.take(self.late, self.columns)
        self.scores = scores

    def _keep_nearest(self, each):
        """Return the scores (N, n) of the nearest of k centres, and keep which it is, in place."""
        scores = nd.empty(each.shape[:2], ctx=self.ctx)
        for piece in pieces(each):
            some = each[piece]
            top = class_max(some)
            scores[piece] = top
            each[piece] = nd.broadcast_equal(some, nd.expand_dims(top, axis=2))
            if on_host(each):  # its arrays are freed before the next ones are made
                each.wait_to_read()
        self.nearest = each
        return scores

    def spread_out(self, values, total):
        """Return `values` of this part's own rows in their places among all, 0 elsewhere."""
        if self.own is None:
            return nd.zeros((total,), ctx=self.ctx)
        return nd.scatter_nd(values, nd.expand_dims(self.rows, axis=0), shape=(total,))

    def softmax(self, known):
        """Turn the scores into exponentials; return what the other parts and shards need of them.

        Parameters
        ----------
        known : NDArray (N,) or None
            The target's cosine of all samples.

        Returns
        -------
        tuple of NDArray (N,)
            The largest logit, the sum of exp(logit - largest), the target's logit and cosine (0
            where the target is elsewhere), and, for label smoothing, the sum and the number of
            the logits in the denominator.
        """
        logits, self.scores = self.scores, None
        head, scale, total = self.step.head, self.step.scale, logits.shape[0]
        if head.filter_above is not None:
            self.allowed = logits <= head.filter_above
            if self.own is not None:
                write(self.allowed, self.own, nd.ones_like(self.cosine))
        if self.margin.changes_others:
            self._others(logits, known)
        target = None if self.own is None else self._target(self.cosine) * scale
        more = self._sums(logits, target, total) if head.label_smoothing else ()
        if self.allowed is not None:
            for piece in pieces(logits):
                never = nd.full(logits[piece].shape, NEVER, ctx=self.ctx)
                logits[piece] = nd.where(self.allowed[piece], logits[piece], never)
        target, cosine = self.spread_out(target, total), self.spread_out(self.cosine, total)
        own = None if self.own is None else nd.take(target, self.rows)
        self.top, spread = exponentials(logits, scale, self.late, self.shift, self.own, own)
        self.p = logits
        return (self.top, spread, target, cosine, *more)

    def _sums(self, logits, target, total):
        """Return the sum of the logits of each sample, without the shift of sampling, and count."""
        count = nd.full((total,), logits.shape[1], ctx=self.ctx)
        weights = nd.ones((logits.shape[1],), ctx=self.ctx) if self.late is None else self.late
        if self.allowed is not None:
            logits, count = logits * self.allowed, nd.sum(self.allowed, axis=1)
        sums = nd.dot(logits, weights) * self.step.scale
        if self.own is not None:
            scores = nd.gather_nd(logits, self.own) * nd.take(weights, self.columns)
            sums = sums + self.spread_out(target - scores * self.step.scale, total)
        return sums, count

    def _others(self, cosine, known):
        """Make of the cosines the logits by the margin, and keep their slopes."""
        margin, step, total = self.margin, self.step, cosine.shape[0]
        self.slopes = margin_gradients.others(
            margin,
            cosine,
            step.strength,
            known,
            step.inputs(margin.others_inputs, total, step.norms),
            step.inputs(margin.target_inputs, total, step.norms),
        )

    def _target(self, cosine):
        """Return the margined targets of this part's own rows, and keep their slopes."""
        step = self.step
        norms = None if step.norms is None else nd.take(step.norms, self.rows)
        inputs = step.inputs(self.margin.target_inputs, cosine.shape[0], norms)
        wanted = ()
        if self.class_margin is not None:
            inputs["class_margin"] = nd.take(self.class_margin, self.columns)
            wanted = ("class_margin",)
        margined, slopes = margin_gradients.target(
            self.margin, cosine, step.strength, inputs, wanted
        )
        self.slope, self.margin_slope = [*slopes, None][:2]
        return margined

    def gradients(self, grad, weight_target, bias_target, class_target, radial=True):
        """Write the gradients of this part; return that of the embeddings, (N, D).

        Parameters
        ----------
        grad : NDArray (N,)
            Gradient of each sample's loss. That of the embeddings is given without it.
        weight_target, bias_target, class_target : tuple (NDArray, bool) or None
            Where a gradient is wanted, and whether it is to be added to what is there.
        radial : bool, default True
            Whether to take from the centres' gradients their parts along the centres.
        """
        margin, k = self.margin, self.margin.subcenters
        p, inverse = self.p, self.inverse if margin.unit_weight else None
        self._to_scores(grad, class_target, inverse if k == 1 else None)
        if bias_target is not None:
            give(self._cut(bias_target), weighted_columns(p, grad) / self.step.scale)
        if k > 1:
            nearest = self.nearest
            for piece in pieces(nearest):
                nearest[piece] = nd.broadcast_mul(nd.expand_dims(p[piece], axis=2), nearest[piece])
            p = nearest.reshape((0, -1))
            if inverse is not None:
                scale_columns(p, inverse)
        self.forget()
        array, add = self._cut(weight_target) or (None, True)
        rows = self.weight.shape[0] // k
        written = nd.empty((rows, self.weight.shape[1] * k), ctx=self.ctx) if add else array
        x = nd.broadcast_mul(self.step.x_all, nd.expand_dims(grad, axis=1))
        # The centres are read before `written` is complete, and their update waits for that.
        grad_x = dense_gradients(p, x, self.centers, _rows(written, k))
        if radial and margin.unit_weight and weight_target is not None:
            subtract_radial(_rows(written, k), self.centers, inverse)
        if add:
            give(self._cut(weight_target), written)
        return grad_x

    def _cut(self, target):
        """Return the rows of a gradient's target that belong to this part."""
        if target is None or self.piece is None:
            return target
        return target[0][self.piece.start : self.piece.stop], target[1]

    def _to_scores(self, grad, class_target, columns):
        """Turn the exponentials in place into the gradient by the scores, times `columns`."""
        step, p = self.step, self.p
        # How much of the softmax over all classes the exponentials are, times d logit / d cosine.
        factor = nd.exp(self.top - step.top - step.log_spread) * step.scale
        each = None if step.each is None else step.each * step.scale
        targets = None
        if self.own is not None:
            kept = step.scale
            if each is not None:
                kept = nd.take(1.0 - step.smoothing, self.rows) * step.scale
            own = nd.gather_nd(p, self.own) * nd.take(factor, self.rows) - kept
            targets = own * self.slope
        if each is not None and self.allowed is not None:
            nd.broadcast_mul(p, nd.expand_dims(factor, axis=1), out=p)
            p -= nd.broadcast_mul(self.allowed, nd.expand_dims(each, axis=1))
            factor, each = nd.ones_like(factor), None
        scale_both(p, factor, columns, self.slopes, each, self.own, targets)
        if class_target is not None:
            slope = step.class_slope * nd.sum(grad)
            total = nd.broadcast_to(slope, shape=self.class_margin.shape)
            if self.own is not None:
                weights = own * self.margin_slope * nd.take(grad, self.rows)
                total = total + add_at(total.shape, self.columns, weights)
            give(self._cut(class_target), total)


def _rows(centers, k):
    """Return the centres (n, k D) of n classes with k centres each as (n k, D), not copied."""
    return centers if k == 1 else centers.reshape((centers.shape[0] * k, -1))


def give(target, gradient):
    """Write or add a gradient where autograd wants it, if it does."""
    if target is not None:
        array, add = target
        if add:
            nd.elemwise_add(array, gradient, out=array)
        else:
            gradient.copyto(array)
