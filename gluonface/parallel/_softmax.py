"""One step of the sharded margin softmax: losses forward, gradients backward.

Written by hand because collectives have no gradient in MXNet. Embeddings of all ranks (N, D)
meet the centres of this shard (n, D); two (N, n) arrays are alive at a time.
"""

import numpy as np

from .._compat import mx
from ..loss._block import log_sum
from . import _slopes, _tape
from ._operators import (
    add_at,
    class_max,
    column_sums,
    dense,
    dense_gradients,
    inverse_norms,
    row_max,
    subtract_scaled,
)

__all__ = ["ShardedSoftmax"]

nd = mx.nd
NEVER = np.float32(-1e30)  # the largest logit of a shard without classes; exp of it is 0


class ShardedSoftmax:
    """The step of one batch. Call it once with the embeddings; autograd calls back.

    Parameters
    ----------
    head : PartialFC
    labels : numpy.ndarray (B,) int64
        Global class ids of this rank's samples.

    Attributes
    ----------
    statistics : tuple of NDArray (N,)
        Largest logit, target logit and target cosine of every sample of all ranks.
    """

    def __init__(self, head, labels):
        self.head, self.margin, self.comm = head, head.margin, head.comm
        self.scale = self.margin.scale
        self.strength = self.margin.strength
        self.labels = labels
        self.statistics = None
        self.p = self.logits = self.share = None
        self.norm = self.norms = self.slopes = self.norm_slope = self.full = self.nearest = None
        self.own = self.cosine = self.allowed = None
        self.smoothing = self.each = None  # what the target gives, and what each other class gets

    def __call__(self, embedding):
        """Return the losses (B,) of embeddings (B, D) float32."""
        head = self.head
        training = mx.autograd.is_training()
        self.weight, self.bias, self.class_margin = (
            None if parameter is None else parameter.data(head.ctx)
            for parameter in (head.weight, head.bias, head.class_margin)
        )
        self.centers = None if self.weight is None else head.untracked_weight(self.weight)
        with mx.autograd.pause():
            loss = self._forward(embedding.detach(), training)
        inputs = (embedding, self.weight, self.bias, self.class_margin)
        self.given = [array is not None for array in inputs]
        _tape.record([array for array in inputs if array is not None], loss, self._backward)
        return loss

    def _name(self, what):
        return f"{self.head.name}.{what}"

    def _forward(self, embedding, training):
        comm, margin, batch = self.comm, self.margin, embedding.shape[0]
        if margin.uses_norm:
            self.norm = nd.norm(embedding, axis=1)
        if margin.unit_embedding or margin.norm_gradient:
            self.inverse_x = nd.expand_dims(inverse_norms(embedding, wait=False), axis=1)
        if margin.unit_embedding:
            embedding = nd.broadcast_mul(embedding, self.inverse_x)
        else:
            embedding = embedding.copy()  # ours: a network with static memory may overwrite its own
        self.x = embedding
        labels, self.counts = self._gather_labels(batch)
        self.x_all = comm.allgather(embedding, name=self._name("x"))
        if margin.uses_norm:
            self.norms = comm.allgather(self.norm, name=self._name("norm"))
        scores = None if self.weight is None else self._scores()
        self._locate(labels, scores)
        known = self._share_target(len(labels)) if margin.shares_target else None
        if training and margin.statistics:
            self._update(scores, known)
        parts = self._nothing(len(labels)) if scores is None else self._shard(scores, known)
        if comm.size > 1:
            parts = self._combine(parts)
        largest, spread, target, target_cosine, sums, count = parts
        self.statistics = (largest, target, target_cosine)
        first = int(sum(self.counts[: comm.rank]))
        mine = slice(first, first + batch)
        log_spread = nd.log(spread)
        loss = self._losses(largest, log_spread, target, sums, count)[mine]
        if margin.norm_gradient or margin.penalises_norm:
            by_target = nd.exp(target - largest - log_spread) - 1.0
            if self.smoothing is not None:
                by_target = by_target + self.smoothing
            by_target = by_target[mine]
            loss = loss + self._norm_terms(target_cosine[mine], by_target * self.scale)
        if margin.has_class_margin:
            loss = loss + self._class_penalty()
        return loss

    def _locate(self, labels, scores):
        """Find the rows whose class lives here, the column of each, and their cosines."""
        head, ctx = self.head, self.head.ctx
        mine = np.flatnonzero((labels >= head.start) & (labels < head.stop))
        if len(mine):  # MXNet has no arrays of size 0
            self.rows = nd.array(mine, ctx=ctx, dtype="int64")
            self.columns = nd.array(labels[mine] - head.start, ctx=ctx, dtype="int64")
            self.own = nd.stack(self.rows, self.columns)
            self.cosine = nd.gather_nd(scores, self.own)

    def _spread(self, values, total):
        """Return `values` of this shard's own rows in their places among all, 0 elsewhere."""
        if self.own is None:
            return nd.zeros((total,), ctx=self.head.ctx)
        return nd.scatter_nd(values, nd.expand_dims(self.rows, axis=0), shape=(total,))

    def _share_target(self, total):
        """Return the target's cosine of all samples, (N,), on every rank."""
        own = self._spread(self.cosine, total)
        return self.comm.allreduce(own, op="sum", name=self._name("target"))

    def _update(self, scores, target_cosine):
        """Update the margin's state by the global batch, alike on all ranks."""
        margin, statistics = self.margin, {}
        if "cosine" in margin.statistics:
            statistics["cosine"] = target_cosine
        if "norm" in margin.statistics:
            statistics["norm"] = self.norms
        if "log_sum" in margin.statistics:
            mine = nd.full((1,), NEVER, ctx=self.head.ctx)
            if scores is not None:
                own = nd.zeros_like(scores)
                if self.own is not None:
                    _set(own, self.own, nd.ones_like(self.cosine))
                mine = log_sum(margin.exponents(nd, scores), own)
            parts = self.comm.allgather(mine, name=self._name("log_sum"))
            top = nd.max(parts).reshape((1,))
            statistics["log_sum"] = nd.log(nd.sum(nd.exp(parts - top)).reshape((1,))) + top
        margin.update(nd, **statistics)

    def _inputs(self, names, total, norms):
        return _slopes.row_inputs(self.margin, names, total, self.head.ctx, norms)

    def _norm_terms(self, target_cosine, by_target):
        """Return the penalty on this rank's norms (B,), and keep the losses' slopes by them."""
        penalty, self.norm_slope = _slopes.norm_terms(
            self.margin, self.strength, self.norm, target_cosine, by_target
        )
        return penalty

    def _class_penalty(self):
        """Return the penalty on the margins of all classes (1,), and keep its slope."""
        head = self.head
        mean = nd.zeros((1,), ctx=head.ctx)
        if self.class_margin is not None:
            mean = nd.sum(self.class_margin).reshape((1,)) / head.num_classes
        mean = self.comm.allreduce(mean, op="sum", name=self._name("class_margin"))
        penalty, slope = _slopes.class_penalty(self.margin, self.strength, mean)
        self.class_slope = slope / head.num_classes
        return penalty

    def _nothing(self, total):
        """Return what a shard without classes adds to the softmax of `total` samples."""
        zeros = nd.zeros((total,), ctx=self.head.ctx)
        return nd.full((total,), NEVER, ctx=self.head.ctx), zeros, zeros, zeros, zeros, zeros

    def _shard(self, logits, known):
        """Compute this shard's logits and softmax; return what the other shards need of them.

        Parameters
        ----------
        logits : NDArray (N, n)
            The cosines; overwritten unless the margin changes the other classes.
        known : NDArray (N,) or None
            The target's cosine of all samples.

        Returns
        -------
        tuple of NDArray (N,)
            The largest logit, the sum of exp(logit - largest), the target's logit and cosine (0
            where the target is elsewhere), and, for label smoothing, the sum and the number of
            the logits in the denominator.
        """
        head, total = self.head, logits.shape[0]
        allowed = self.allowed = self._filter(logits)
        if self.margin.changes_others:
            self.scores = logits
            logits = self._others(logits, known)
        margined = None
        if self.own is not None:
            margined = self._target(self.cosine)
            _set(logits, self.own, margined)
        target = self._spread(margined, total) * self.scale
        target_cosine = self._spread(self.cosine, total)
        logits *= self.scale
        if allowed is not None:
            logits = nd.where(allowed, logits, nd.full(logits.shape, NEVER, ctx=head.ctx))
        self.logits, self.p = logits, nd.softmax(logits, axis=1)
        spread = 1.0 / row_max(self.p)  # the largest term of the sum is exp(0)
        sums = count = target
        if head.label_smoothing:
            count = nd.full((total,), logits.shape[1], ctx=head.ctx)
            if allowed is not None:
                logits, count = logits * allowed, nd.sum(allowed, axis=1)
            sums = nd.sum(logits, axis=1)
        return row_max(self.logits), spread, target, target_cosine, sums, count

    def _filter(self, cosine):
        """Return 1 where a class stays in the denominator, or None if all do."""
        if self.head.filter_above is None:
            return None
        allowed = cosine <= self.head.filter_above
        if self.own is not None:
            _set(allowed, self.own, nd.ones_like(self.cosine))
        return allowed

    def _others(self, cosine, known):
        """Return the logits of the other classes by the margin, and keep their slopes."""
        margin, total = self.margin, cosine.shape[0]
        logits, self.slopes = _slopes.others(
            margin,
            cosine,
            self.strength,
            known,
            self._inputs(margin.others_inputs, total, self.norms),
            self._inputs(margin.target_inputs, total, self.norms),
        )
        return logits

    def _combine(self, parts):
        """Return the same figures over all shards, which all ranks compute from one gather."""
        packed = nd.expand_dims(nd.stack(*parts, axis=1), axis=0)
        packed = self.comm.allgather(packed, name=self._name("softmax"))
        tops = packed[:, :, 0]
        top = nd.max(tops, axis=0)
        weights = nd.exp(nd.broadcast_sub(tops, nd.expand_dims(top, axis=0)))
        spread = nd.sum(packed[:, :, 1] * weights, axis=0)
        # How much of the softmax over all classes this shard's softmax is.
        self.share = parts[1] * weights[self.comm.rank] / spread
        return (top, spread, *(nd.sum(packed[:, :, column], axis=0) for column in (2, 3, 4, 5)))

    def _losses(self, largest, log_spread, target, sums, count):
        """Return the cross entropy of all samples; log sum exp is `largest` + `log_spread`."""
        head = self.head
        loss = log_spread + (largest - target)
        if not head.label_smoothing:
            return loss
        others = count - 1.0
        rest = (log_spread + largest) * others - (sums - target)
        self.smoothing = head.label_smoothing * (others > 0.0)  # a lone class has no one to give to
        self.each = self.smoothing / nd.maximum(others, 1.0)
        return loss * (1.0 - self.smoothing) + rest * self.each

    def _gather_labels(self, batch):
        """Return the labels of all ranks, and how many samples each rank has."""
        comm = self.comm
        if comm.size == 1:
            return self.labels, [batch]
        tagged = np.stack([self.labels, np.full(batch, comm.rank)], axis=1)
        tagged = comm.allgather(
            nd.array(tagged, ctx=self.head.ctx, dtype="int64"), name=self._name("labels")
        ).asnumpy()
        return tagged[:, 0], np.bincount(tagged[:, 1], minlength=comm.size).tolist()

    def _scores(self):
        """Return cosines (N, n), or inner products where a side is not normalised."""
        k = self.margin.subcenters
        bias = None if self.bias is None else self.bias / self.scale
        weight = _rows(self.weight, k)
        scores = dense(self.x_all, weight, bias)
        if self.margin.unit_weight:
            # Scaling N x n products is cheaper than normalising n x D centres.
            self.inverse_w = inverse_norms(weight)
            nd.broadcast_mul(scores, nd.expand_dims(self.inverse_w, axis=0), out=scores)
        if k > 1:
            self.full = nd.reshape(scores, shape=(0, -1, k))
            scores = class_max(self.full)
            # Only the nearest centre of a class takes part.
            self.nearest = nd.broadcast_equal(self.full, nd.expand_dims(scores, axis=2))
        return scores

    def _target(self, cosine):
        """Return the margined targets of this shard's own rows, and keep their slopes."""
        norms = None if self.norms is None else nd.take(self.norms, self.rows)
        inputs = self._inputs(self.margin.target_inputs, cosine.shape[0], norms)
        wanted = ()
        if self.class_margin is not None:
            inputs["class_margin"] = nd.take(self.class_margin, self.columns)
            wanted = ("class_margin",)
        margined, slopes = _slopes.target(self.margin, cosine, self.strength, inputs, wanted)
        self.slope, self.margin_slope = [*slopes, None][:2]
        return margined

    def _backward(self, grad, targets):
        """Write the gradients of (embedding, weight, bias, class margin), given the losses'."""
        if self.p is None and self.weight is not None:
            raise RuntimeError("backward was called twice; the head keeps one use of its arrays")
        targets = iter(targets)
        targets = [next(targets) if given else None for given in self.given]
        local, grad = grad, self.comm.allgather(grad, name=self._name("grad"))
        if self.weight is None:
            grad_x = nd.zeros_like(self.x_all)
        else:
            grad_x = self._shard_gradients(grad, *targets[1:])
        grad_x = self._reduce(grad_x)
        if self.margin.unit_embedding:
            radial = nd.sum(grad_x * self.x, axis=1, keepdims=True)
            grad_x = nd.broadcast_mul(grad_x - nd.broadcast_mul(self.x, radial), self.inverse_x)
        if self.norm_slope is not None:
            along = nd.expand_dims(local * self.norm_slope, axis=1)
            if not self.margin.unit_embedding:
                along = along * self.inverse_x
            grad_x = grad_x + nd.broadcast_mul(self.x, along)
        _give(targets[0], grad_x)

    def _shard_gradients(self, grad, weight_target, bias_target, class_target):
        """Write the shard's own gradients; return that of all embeddings from this shard."""
        head, margin = self.head, self.margin
        p = self._cosine_gradients(grad, class_target)
        if bias_target is not None:
            _give(bias_target, column_sums(p) / self.scale)
        cosine, factor = self._cosines()
        if margin.subcenters > 1:
            p = nd.broadcast_mul(nd.expand_dims(p, axis=2), self.nearest)
            p = nd.reshape(p, shape=(0, -1))
        if margin.unit_weight:
            # The centres' radial part, sum_i g_ij c_ij.
            cosine *= p
            radial = column_sums(cosine) / factor
            nd.broadcast_mul(p, nd.expand_dims(self.inverse_w, axis=0), out=p)
        self.logits = self.p = self.full = self.nearest = self.scores = self.slopes = None
        array, add = weight_target or (None, True)
        written = nd.empty(self.weight.shape, ctx=head.ctx) if add else array
        k = margin.subcenters
        centers = _rows(self.centers, k)
        # The centres are read before `written` is complete, and their update waits for that.
        grad_x = dense_gradients(p, self.x_all, centers, _rows(written, k))
        if margin.unit_weight:
            subtract_scaled(_rows(written, k), centers, radial * nd.square(self.inverse_w))
        if add:
            _give(weight_target, written)
        return grad_x

    def _cosines(self):
        """Return the cosines (N, n k) times a factor, and the factor; may be overwritten."""
        if self.full is not None:
            return nd.reshape(self.full, shape=(0, -1)), 1.0
        if self.margin.changes_others:
            return self.scores, 1.0
        if self.own is not None and self.margin.unit_weight:
            _set(self.logits, self.own, self.cosine * self.scale)  # the targets' put back
        return self.logits, self.scale

    def _cosine_gradients(self, grad, class_target):
        """Turn the softmax (N, n) in place into the gradient by the cosines."""
        p = self.p
        rows = grad * self.scale  # d logit / d cosine, before the target's slope
        share = rows if self.share is None else rows * self.share
        nd.broadcast_mul(p, nd.expand_dims(share, axis=1), out=p)
        kept = rows
        if self.each is not None:
            each = nd.expand_dims(rows * self.each, axis=1)
            p -= each if self.allowed is None else nd.broadcast_mul(self.allowed, each)
            kept = rows * (1.0 - self.smoothing - self.each)  # `each` went off its column as well
        if self.own is not None:
            own = nd.gather_nd(p, self.own) - nd.take(kept, self.rows)
        if self.slopes is not None:
            p *= self.slopes
        if self.own is not None:
            _set(p, self.own, own * self.slope)
        if class_target is not None:
            total = nd.broadcast_to(self.class_slope * nd.sum(grad), shape=self.class_margin.shape)
            if self.own is not None:
                total = total + add_at(total.shape, self.columns, own * self.margin_slope)
            _give(class_target, total)
        return p

    def _reduce(self, grad_x):
        """Return this rank's rows of the gradient summed over the shards."""
        comm = self.comm
        if len(set(self.counts)) == 1:
            return comm.reducescatter(grad_x, name=self._name("gx"))
        total = comm.allreduce(grad_x, op="sum", name=self._name("gx"))
        first = int(sum(self.counts[: comm.rank]))
        return total[first : first + self.counts[comm.rank]]


def _rows(centers, k):
    """Return the centres (n, k D) of n classes with k centres each as (n k, D), not copied."""
    return centers if k == 1 else centers.reshape((centers.shape[0] * k, -1))


def _set(matrix, where, values):
    """Write `values` (k,) into the places `where` (2, k) of a matrix."""
    nd._internal._scatter_set_nd(
        lhs=matrix, rhs=values, indices=where, shape=matrix.shape, out=matrix
    )


def _give(target, gradient):
    """Write or add a gradient where autograd wants it, if it does."""
    if target is not None:
        array, add = target
        if add:
            nd.elemwise_add(array, gradient, out=array)
        else:
            gradient.copyto(array)
