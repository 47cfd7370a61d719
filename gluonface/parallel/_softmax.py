"""One step of the sharded margin softmax: losses forward, gradients backward.

Written by hand because collectives have no gradient in MXNet. Embeddings of all ranks (N, D)
meet the centres of this shard (n, D); two (N, n) arrays are alive at a time.
"""

import numpy as np

from .._compat import mx
from . import _tape
from ._operators import (
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

    def __call__(self, embedding):
        """Return the losses (B,) of embeddings (B, D) float32."""
        head = self.head
        self.weight = None if head.weight is None else head.weight.data(head.ctx)
        self.bias = None if head.bias is None else head.bias.data(head.ctx)
        self.centers = None if self.weight is None else head.untracked_weight(self.weight)
        with mx.autograd.pause():
            loss = self._forward(embedding.detach())
        inputs = [array for array in (embedding, self.weight, self.bias) if array is not None]
        _tape.record(inputs, loss, self._backward)
        return loss

    def _name(self, what):
        return f"{self.head.name}.{what}"

    def _forward(self, embedding):
        comm, batch = self.comm, embedding.shape[0]
        if self.margin.unit_embedding:
            self.inverse_x = nd.expand_dims(inverse_norms(embedding, wait=False), axis=1)
            embedding = nd.broadcast_mul(embedding, self.inverse_x)
        else:
            embedding = embedding.copy()  # ours: a network with static memory may overwrite its own
        self.x = embedding
        labels, self.counts = self._gather_labels(batch)
        self.x_all = comm.allgather(embedding, name=self._name("x"))
        parts = self._nothing(len(labels)) if self.weight is None else self._shard(labels)
        if comm.size > 1:
            parts = self._combine(parts)
        largest, spread, target, target_cosine, sums = parts
        self.statistics = (largest, target, target_cosine)
        first = int(sum(self.counts[: comm.rank]))
        return self._losses(largest, nd.log(spread), target, sums)[first : first + batch]

    def _nothing(self, total):
        """Return what a shard without classes adds to the softmax of `total` samples."""
        zeros = nd.zeros((total,), ctx=self.head.ctx)
        return nd.full((total,), NEVER, ctx=self.head.ctx), zeros, zeros, zeros, zeros

    def _shard(self, labels):
        """Compute this shard's logits and softmax; return what the other shards need of them.

        Returns
        -------
        tuple of NDArray (N,)
            The largest logit, the sum of exp(logit - largest), the target's logit and cosine (0
            where the target is elsewhere), and, for label smoothing, the sum of the logits.
        """
        head, ctx, total = self.head, self.head.ctx, len(labels)
        logits = self._scores()
        # The rows whose class lives here, and the column of each.
        mine = np.flatnonzero((labels >= head.start) & (labels < head.stop))
        self.own = None
        target = target_cosine = nd.zeros((total,), ctx=ctx)
        if len(mine):  # MXNet has no arrays of size 0
            self.rows = nd.array(mine, ctx=ctx, dtype="int64")
            columns = nd.array(labels[mine] - head.start, ctx=ctx, dtype="int64")
            self.own = nd.stack(self.rows, columns)
            self.cosine = nd.gather_nd(logits, self.own)
            margined = self._target(self.cosine)
            _set(logits, self.own, margined)
            where = nd.expand_dims(self.rows, axis=0)
            target = nd.scatter_nd(margined, where, shape=(total,)) * self.scale
            target_cosine = nd.scatter_nd(self.cosine, where, shape=(total,))
        logits *= self.scale
        self.logits, self.p = logits, nd.softmax(logits, axis=1)
        spread = 1.0 / row_max(self.p)  # the largest term of the sum is exp(0)
        sums = nd.sum(logits, axis=1) if head.label_smoothing else target
        return row_max(logits), spread, target, target_cosine, sums

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
        return (top, spread, *(nd.sum(packed[:, :, column], axis=0) for column in (2, 3, 4)))

    def _losses(self, largest, log_spread, target, sums):
        """Return the cross entropy of all samples; log sum exp is `largest` + `log_spread`."""
        head = self.head
        loss = log_spread + (largest - target)
        if not head.label_smoothing:
            return loss
        others = head.num_classes - 1
        rest = (log_spread + largest) * others - (sums - target)
        share = head.label_smoothing / max(1, others)
        return loss * (1.0 - head.label_smoothing) + rest * share

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
        scores = dense(self.x_all, self.weight, self.bias)
        if self.margin.unit_weight:
            # Scaling N x n products is cheaper than normalising n x D centres.
            self.inverse_w = inverse_norms(self.weight)
            nd.broadcast_mul(scores, nd.expand_dims(self.inverse_w, axis=0), out=scores)
        return scores

    def _target(self, cosine):
        """Return the margined targets and keep their slopes; autograd runs on these alone."""
        cosine = cosine.copy()
        cosine.attach_grad()
        strength = nd.full(cosine.shape, self.strength, ctx=cosine.context)
        with mx.autograd.record():
            margined = self.margin.target(nd, cosine, strength)
        margined.backward()
        self.slope = cosine.grad
        return margined.detach()

    def _backward(self, grad, targets):
        """Write the gradients of (embedding, weight, bias), given (B,) `grad` of the losses."""
        if self.p is None and self.weight is not None:
            raise RuntimeError("backward was called twice; the head keeps one use of its arrays")
        targets = [*targets, None, None][:3]
        grad = self.comm.allgather(grad, name=self._name("grad"))
        if self.weight is None:
            grad_x = nd.zeros_like(self.x_all)
        else:
            grad_x = self._shard_gradients(grad, targets[1], targets[2])
        grad_x = self._reduce(grad_x)
        if self.margin.unit_embedding:
            radial = nd.sum(grad_x * self.x, axis=1, keepdims=True)
            grad_x = nd.broadcast_mul(grad_x - nd.broadcast_mul(self.x, radial), self.inverse_x)
        _give(targets[0], grad_x)

    def _shard_gradients(self, grad, weight_target, bias_target):
        """Write the shard's own gradients; return that of all embeddings from this shard."""
        head, margin = self.head, self.margin
        p = self._cosine_gradients(grad)
        _give(bias_target, column_sums(p) if bias_target else None)
        if margin.unit_weight:
            # The centres' radial part, sum_i g_ij c_ij, with the targets' cosines put back.
            logits = self.logits
            if self.own is not None:
                _set(logits, self.own, self.cosine * self.scale)
            logits *= p
            radial = column_sums(logits) / self.scale
            nd.broadcast_mul(p, nd.expand_dims(self.inverse_w, axis=0), out=p)
        self.logits = self.p = None
        array, add = weight_target or (None, True)
        written = nd.empty(self.weight.shape, ctx=head.ctx) if add else array
        # The centres are read before `written` is complete, and their update waits for that.
        grad_x = dense_gradients(p, self.x_all, self.centers, written)
        if margin.unit_weight:
            subtract_scaled(written, self.centers, radial * nd.square(self.inverse_w))
        if add:
            _give(weight_target, written)
        return grad_x

    def _cosine_gradients(self, grad):
        """Turn the softmax (N, n) in place into the gradient by the cosines."""
        head, p = self.head, self.p
        rows = grad * self.scale  # d logit / d cosine, before the target's slope
        share = rows if self.share is None else rows * self.share
        nd.broadcast_mul(p, nd.expand_dims(share, axis=1), out=p)
        each = head.label_smoothing / max(1, head.num_classes - 1)
        if each:
            nd.broadcast_sub(p, nd.expand_dims(rows * each, axis=1), out=p)
        if self.own is not None:
            kept = 1.0 - head.label_smoothing - each  # `each` went off this column as well
            own = nd.gather_nd(p, self.own) - kept * nd.take(rows, self.rows)
            _set(p, self.own, own * self.slope)
        return p

    def _reduce(self, grad_x):
        """Return this rank's rows of the gradient summed over the shards."""
        comm = self.comm
        if len(set(self.counts)) == 1:
            return comm.reducescatter(grad_x, name=self._name("gx"))
        total = comm.allreduce(grad_x, op="sum", name=self._name("gx"))
        first = int(sum(self.counts[: comm.rank]))
        return total[first : first + self.counts[comm.rank]]


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
