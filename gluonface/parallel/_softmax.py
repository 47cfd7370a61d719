"""One step of the sharded margin softmax: losses forward, gradients backward.

Written by hand because collectives have no gradient in MXNet. Embeddings of all ranks (N, D)
meet the centres of this shard (n, D); two (N, n) arrays are alive at a time.
"""

import numpy as np

from .._compat import mx

__all__ = ["ShardedSoftmax"]

nd = mx.nd
NEVER = np.float32(-1e30)  # the largest logit of a shard without classes; exp of it is 0


def _inverse_norms(rows):
    """Return 1/||row|| as (N,), and 0 for a zero row: it has no direction and no gradient."""
    norms = nd.norm(rows, axis=1)
    return (norms > 1e-12) / nd.maximum(norms, 1e-12)


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

    def __call__(self, embedding):
        """Return the losses (B,) of embeddings (B, D) float32."""
        head = self.head
        # A frozen parameter is left out: autograd.Function stops at the first input without
        # gradient, so it must not come before another one; the embedding comes last.
        self.trained = [
            p for p in (head.weight, head.bias) if p is not None and p.grad_req != "null"
        ]
        self.weight = None if head.weight is None else head.weight.data(head.ctx)
        self.bias = None if head.bias is None else head.bias.data(head.ctx)
        return _Function(self)(*[p.data(head.ctx) for p in self.trained], embedding)

    def _name(self, what):
        return f"{self.head.name}.{what}"

    def forward(self, embedding):
        head, comm, margin, ctx = self.head, self.comm, self.margin, self.head.ctx
        batch = embedding.shape[0]
        if margin.unit_embedding:
            self.inverse_x = nd.expand_dims(_inverse_norms(embedding), axis=1)
            embedding = nd.broadcast_mul(embedding, self.inverse_x)
        self.x = embedding
        labels, self.counts = self._gather_labels(batch)
        self.x_all = comm.allgather(embedding, name=self._name("x"))
        total = len(labels)

        # The rows whose class lives here, and the column of each.
        mine = np.flatnonzero((labels >= head.start) & (labels < head.stop))
        self.rows = nd.array(mine, ctx=ctx, dtype="int64") if len(mine) else None
        self.own = None
        target_cosine = nd.zeros((total,), ctx=ctx)
        target = nd.zeros((total,), ctx=ctx)
        if self.weight is None:
            largest, spread = nd.full((total,), NEVER, ctx=ctx), nd.zeros((total,), ctx=ctx)
            sums = spread
        else:
            logits = self._scores()
            if self.rows is not None:
                columns = nd.array(labels[mine] - head.start, ctx=ctx, dtype="int64")
                self.own = nd.stack(self.rows, columns)
                self.cosine = nd.gather_nd(logits, self.own)
                margined = self._target(self.cosine)
                nd._internal._scatter_set_nd(
                    lhs=logits, rhs=margined, indices=self.own, shape=logits.shape, out=logits
                )
                where = nd.expand_dims(self.rows, axis=0)
                target = nd.scatter_nd(margined, where, shape=(total,)) * self.scale
                target_cosine = nd.scatter_nd(self.cosine, where, shape=(total,))
            logits *= self.scale
            self.logits = logits
            self.p = nd.softmax(logits, axis=1)
            largest = nd.max(logits, axis=1)
            spread = 1.0 / nd.max(self.p, axis=1)  # the largest term of the sum is exp(0)
            sums = nd.sum(logits, axis=1) if head.label_smoothing else None

        parts = [largest, spread, target, target_cosine]
        if head.label_smoothing:
            parts.append(sums)
        if comm.size > 1:
            packed = nd.expand_dims(nd.stack(*parts, axis=1), axis=0)
            packed = comm.allgather(packed, name=self._name("softmax"))
            tops = packed[:, :, 0]
            top = nd.max(tops, axis=0)
            weights = nd.exp(nd.broadcast_sub(tops, nd.expand_dims(top, axis=0)))
            total_spread = nd.sum(packed[:, :, 1] * weights, axis=0)
            # How much of the global softmax this shard's softmax is.
            self.share = spread * weights[comm.rank] / total_spread
            spread = total_spread
            target, target_cosine = nd.sum(packed[:, :, 2], axis=0), nd.sum(packed[:, :, 3], axis=0)
            if head.label_smoothing:
                sums = nd.sum(packed[:, :, 4], axis=0)
            largest = top
        else:
            self.share = None
        self.statistics = (largest, target, target_cosine)
        log_spread = nd.log(spread)
        loss = log_spread + (largest - target)
        if head.label_smoothing:
            others = max(1, head.num_classes - 1)
            # mean over the others of (LSE - z_j), blended with LSE - z_y
            rest = (log_spread + largest) * (head.num_classes - 1) - (sums - target)
            loss = loss * (1.0 - head.label_smoothing) + rest * (head.label_smoothing / others)
        first = int(sum(self.counts[: comm.rank]))
        return loss[first : first + batch]

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
        rows = self.weight.shape[0]
        if self.bias is None:
            scores = nd.sparse.FullyConnected(
                self.x_all, self.weight, num_hidden=rows, no_bias=True
            )
        else:
            scores = nd.sparse.FullyConnected(self.x_all, self.weight, self.bias, num_hidden=rows)
        if self.margin.unit_weight:
            # Scaling N x n products is cheaper than normalising n x D centres.
            self.inverse_w = nd.expand_dims(_inverse_norms(self.weight), axis=0)
            nd.broadcast_mul(scores, self.inverse_w, out=scores)
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

    def backward(self, grad):
        """Return the gradients of the trained parameters and the embedding, given (B,) `grad`."""
        head, comm, margin = self.head, self.comm, self.margin
        grad = comm.allgather(grad, name=self._name("grad"))
        found = {}
        if self.weight is None:
            grad_x = nd.zeros_like(self.x_all)
        else:
            grad_x = self._shard_gradients(grad, found)
        grad_x = self._reduce(grad_x)
        if margin.unit_embedding:
            radial = nd.sum(grad_x * self.x, axis=1, keepdims=True)
            grad_x = nd.broadcast_mul(grad_x - nd.broadcast_mul(self.x, radial), self.inverse_x)
        wanted = [found["weight" if p is head.weight else "bias"] for p in self.trained]
        return (*wanted, grad_x)

    def _shard_gradients(self, grad, found):
        """Fill in the shard's own gradients; return that of all embeddings from this shard."""
        head, margin, scale = self.head, self.margin, self.scale
        p, logits = self.p, self.logits
        smoothing = head.label_smoothing
        rows = grad * scale  # dL/dz to dL/dcosine in the same product
        factor = rows if self.share is None else rows * self.share
        nd.broadcast_mul(p, nd.expand_dims(factor, axis=1), out=p)
        if smoothing:
            each = smoothing / max(1, head.num_classes - 1)
            nd.broadcast_sub(p, nd.expand_dims(rows * each, axis=1), out=p)
        if self.own is not None:
            kept = 1.0 - smoothing - (each if smoothing else 0.0)
            own = nd.gather_nd(p, self.own) - kept * nd.take(rows, self.rows)
            nd._internal._scatter_set_nd(
                lhs=p, rhs=own * self.slope, indices=self.own, shape=p.shape, out=p
            )
        if self.bias is not None:
            found["bias"] = nd.sum(p, axis=0)
        if margin.unit_weight:
            # The centres' radial part: sum_i g_ij c_ij, with the targets' cosines put back.
            if self.own is not None:
                nd._internal._scatter_set_nd(
                    lhs=logits,
                    rhs=self.cosine * scale,
                    indices=self.own,
                    shape=p.shape,
                    out=logits,
                )
            logits *= p
            radial = nd.sum(logits, axis=0) / scale
            nd.broadcast_mul(p, self.inverse_w, out=p)
        grad_w = nd.dot(p, self.x_all, transpose_a=True)
        if margin.unit_weight:
            factor = nd.expand_dims(radial * nd.square(self.inverse_w[0]), axis=1)
            grad_w -= nd.broadcast_mul(self.weight, factor)
        found["weight"] = grad_w
        return nd.dot(p, self.weight)

    def _reduce(self, grad_x):
        """Return this rank's rows of the gradient summed over the shards."""
        comm = self.comm
        if len(set(self.counts)) == 1:
            return comm.reducescatter(grad_x, name=self._name("gx"))
        total = comm.allreduce(grad_x, op="sum", name=self._name("gx"))
        first = int(sum(self.counts[: comm.rank]))
        return total[first : first + self.counts[comm.rank]]


class _Function(mx.autograd.Function):
    def __init__(self, step):
        super().__init__()
        self.step = step

    def forward(self, *inputs):
        return self.step.forward(inputs[-1])

    def backward(self, grad):
        return self.step.backward(grad)
