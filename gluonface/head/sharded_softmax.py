"""One step of the sharded margin softmax: losses forward, gradients backward.

Written by hand because collectives have no gradient in MXNet. Embeddings of all ranks (N, D)
meet the centres of this shard (m, D). What the ranks exchange: the labels, which no one waits
for; the embeddings; five numbers for each sample and shard; the gradient of the embeddings. The
gradient of the losses is exchanged meanwhile, because only the centres' gradients need it.
With replicated centres (m = C) each rank meets its own embeddings alone, and what is summed over
ranks is the centres' gradients.
"""

import numpy as np

from .._compat import mx
from ..loss._block import log_sum
from ..parallel.communicator import Local
from . import custom_function, margin_gradients
from .array_operations import inverse_norms, on_host, pieces, write
from .class_chunk import NEVER, give

__all__ = ["ShardedSoftmax", "gather_labels"]

nd = mx.nd


def gather_labels(head, labels):
    """Return the labels (N,) of all ranks, and how many samples each rank has."""
    comm, batch = head.comm, len(labels)
    if comm.size == 1:
        return labels, [batch]
    tagged = np.stack([labels, np.full(batch, comm.rank)], axis=1)
    # On the CPU: nothing that is queued on a GPU has to be waited for.
    tagged = comm.allgather(nd.array(tagged, dtype="int64"), name=f"{head.name}.labels").asnumpy()
    return tagged[:, 0], np.bincount(tagged[:, 1], minlength=comm.size).tolist()


class ShardedSoftmax:
    """The step of one batch. Call it once with the embeddings; autograd calls back.

    Parameters
    ----------
    head : PartialFC
    labels : numpy.ndarray (N,) int64
        Global class ids of the samples of all ranks.
    counts : list of int
        How many of them each rank has.
    shard : Shard or None
        The classes of this rank that take part, or None if there are none.

    Attributes
    ----------
    statistics : tuple of NDArray (N,)
        Largest logit, target logit and target cosine of every sample of all ranks.
    """

    def __init__(self, head, labels, counts, shard):
        self.head, self.margin = head, head.margin
        self.scale = self.margin.scale
        self.strength = self.margin.strength
        rank, self.world = head.comm.rank, len(labels)
        first = int(sum(counts[:rank]))
        own = slice(first, first + counts[rank])
        self.around = (first, self.world - own.stop)  # samples of the ranks before and after
        self.comm, self.mine = head.comm, own
        if head.mode == "replicated":  # a step alone, but for the margin's and the head's figures
            self.comm, labels, counts = Local(), labels[own], [counts[rank]]
            self.mine = slice(0, len(labels))
        self.labels, self.counts, self.shard = labels, counts, shard
        self.total = len(labels)
        self.chunked = head.chunk is not None
        self.parts = [] if shard is None else shard.parts(self, labels, head.chunk)
        self.statistics = self.norm = self.norms = self.norm_slope = self.class_slope = None
        self.smoothing = self.each = None  # what the target gives, and what each other class gets
        self.used = False

    def __call__(self, embedding, inputs, collect):
        """Return the losses (B,) of embeddings (B, D) float32.

        Parameters
        ----------
        embedding : NDArray (B, D) float32
        inputs : tuple of NDArray or None
            What else autograd shall ask the gradient of.
        collect : callable
            ``collect(step, grad (N,), targets)``: asked for the shard's gradients in the backward
            pass, with a target (array, add) or None for each of `inputs`; returns the gradient of
            all embeddings by this shard, (N, D), or None.
        """
        training = mx.autograd.is_training()
        with mx.autograd.pause():
            loss = self._forward(embedding.detach(), training)
        self.collect = collect
        self.given = [array is not None for array in inputs]
        present = [array for array in inputs if array is not None]
        custom_function.record([embedding, *present], loss, self._backward)
        return loss

    def name(self, what):
        """Return the name of one of the head's collectives."""
        return f"{self.head.name}.{what}"

    def _forward(self, embedding, training):
        comm, margin = self.comm, self.margin
        if margin.uses_norm:
            self.norm = nd.norm(embedding, axis=1)
        if margin.unit_embedding or margin.norm_gradient:
            self.inverse_x = nd.expand_dims(inverse_norms(embedding, wait=False), axis=1)
        if margin.unit_embedding:
            embedding = nd.broadcast_mul(embedding, self.inverse_x)
        else:
            embedding = embedding.copy()  # ours: a network with static memory may overwrite its own
        self.x = embedding
        self.x_all = self._narrow(embedding, comm.allgather, "x")
        if margin.uses_norm:
            self.norms = comm.allgather(self.norm, name=self.name("norm"))
        ahead = margin.shares_target or (training and bool(margin.statistics))
        known = self._ahead(training) if ahead else None
        found = []
        for part in self.parts:
            if part.scores is None:
                part.compute()
            found.append(part.softmax(known))
            if self.chunked:
                part.forget()
        largest, spread, target, target_cosine, *rest = self._combine(found)
        self.statistics = self._everywhere((largest, target, target_cosine), "stats")
        self.known, self.top, self.log_spread = known, largest, nd.log(spread)
        loss = self._losses(target, *rest)[self.mine]
        if margin.norm_gradient or margin.penalises_norm:
            by_target = nd.exp(target - largest - self.log_spread) - 1.0
            if self.smoothing is not None:
                by_target = by_target + self.smoothing
            by_target = by_target[self.mine] * self.scale
            loss = loss + self._norm_terms(target_cosine[self.mine], by_target)
        if margin.has_class_margin:
            loss = loss + self._class_penalty()
        return loss

    def _narrow(self, array, collective, what):
        """Return what a collective makes of an array that travels in the head's wire format."""
        if self.comm.size == 1 or self.head.wire_dtype == "float32":
            return collective(array, name=self.name(what))
        narrow = array.astype(self.head.wire_dtype)
        return collective(narrow, name=self.name(what)).astype("float32")

    def _everywhere(self, figures, what):
        """Return figures (n,) of this step's samples for those of all ranks, (N,). No wait."""
        if self.total == self.world:
            return figures
        packed = _pad(nd.stack(*figures, axis=1), *self.around)
        packed = self.head.comm.allreduce(packed, op="sum", name=self.name(what))
        return tuple(packed[:, column] for column in range(len(figures)))

    def _ahead(self, training):
        """Share what the margin must know before any logit; return the targets' cosines or None."""
        own, mine = nd.zeros((self.total,), ctx=self.head.ctx), []
        for part in self.parts:
            part.compute()
            own = own + part.spread_out(part.cosine, self.total)
            if training and "log_sum" in self.margin.statistics:
                mine.append(self._log_sum(part))
            if self.chunked:
                part.forget()
        known = None
        if self.margin.shares_target:
            known = self.comm.allreduce(own, op="sum", name=self.name("target"))
        if training and self.margin.statistics:
            self._update(known, mine)
        return known

    def _log_sum(self, part):
        """Return the log of the sum of the margin's exponentials over one part, (1,)."""
        own = nd.zeros_like(part.scores)
        if part.own is not None:
            write(own, part.own, nd.ones_like(part.cosine))
        found = []
        for piece in pieces(own):
            exponents = self.margin.exponents(nd, part.scores[piece])
            if part.shift is not None:
                exponents = nd.broadcast_add(exponents, nd.expand_dims(part.shift, axis=0))
            found.append(log_sum(exponents, own[piece]))
            if on_host(own):  # its arrays are freed before the next ones are made
                found[-1].wait_to_read()
        return _log_of_sum(found, self.head.ctx)

    def _update(self, target_cosine, log_sums):
        """Update the margin's state by the global batch, alike on all ranks."""
        margin, statistics = self.margin, {}
        if "cosine" in margin.statistics:
            (statistics["cosine"],) = self._everywhere((target_cosine,), "target")
        if "norm" in margin.statistics:
            (statistics["norm"],) = self._everywhere((self.norms,), "norm")
        if "log_sum" in margin.statistics:
            mine = _log_of_sum(log_sums, self.head.ctx)
            parts = self.head.comm.allgather(mine, name=self.name("log_sum"))
            statistics["log_sum"] = _log_of_sum([parts], self.head.ctx)
        margin.update(nd, **statistics)

    def inputs(self, names, total, norms):
        """Return the named inputs of the margin's formulas."""
        return margin_gradients.row_inputs(self.margin, names, total, self.head.ctx, norms)

    def _norm_terms(self, target_cosine, by_target):
        """Return the penalty on this rank's norms (B,), and keep the losses' slopes by them."""
        penalty, self.norm_slope = margin_gradients.norm_terms(
            self.margin, self.strength, self.norm, target_cosine, by_target
        )
        return penalty

    def _class_penalty(self):
        """Return the penalty on the margins of all classes (1,), and keep its slope."""
        head = self.head
        mean = head.class_margin_sum() / head.num_classes
        mean = self.comm.allreduce(mean, op="sum", name=self.name("class_margin"))
        penalty, slope = margin_gradients.class_penalty(self.margin, self.strength, mean)
        self.class_slope = slope / head.num_classes
        return penalty

    def _combine(self, found):
        """Return the softmax's figures over all parts, from one gather over the ranks."""
        ctx = self.head.ctx
        if found:
            mine = found[0]
        else:
            zeros = nd.zeros((self.total,), ctx=ctx)
            mine = [zeros] * (6 if self.head.label_smoothing else 4)
            mine[0] = nd.full((self.total,), NEVER, ctx=ctx)
        if len(found) > 1:
            mine = _merge(nd.stack(*[nd.stack(*each, axis=1) for each in found], axis=0))
        if self.comm.size > 1:
            packed = nd.expand_dims(nd.stack(*mine, axis=1), axis=0)
            mine = _merge(self.comm.allgather(packed, name=self.name("softmax")))
        return mine

    def _losses(self, target, sums=None, count=None):
        """Return the cross entropy of all samples; log sum exp is `top` + `log_spread`.

        `sums` and `count` (N,), for label smoothing, are of the logits in the denominator.
        """
        loss = self.log_spread + (self.top - target)
        if sums is None:
            return loss
        others = count - 1.0
        rest = (self.log_spread + self.top) * others - (sums - target)
        # A lone class has no one to give to.
        self.smoothing = self.head.label_smoothing * (others > 0.0)
        self.each = self.smoothing / nd.maximum(others, 1.0)
        return loss * (1.0 - self.smoothing) + rest * self.each

    def _backward(self, grad, targets):
        """Write the gradients of the embedding and the inputs, given that of the losses (B,)."""
        if self.used:
            raise RuntimeError("backward was called twice; the head keeps one use of its arrays")
        self.used = True
        rest = iter(targets[1:])
        grad_x = self.collect(
            self, self._all(grad), [next(rest) if given else None for given in self.given]
        )
        if grad_x is None:
            grad_x = nd.zeros_like(self.x_all)
        # Each rank's own share of the gradient comes last: until then a logit's slope is at most
        # the scale, whatever the number of samples, and fits into float16.
        local = nd.expand_dims(grad, axis=1)
        grad_x = nd.broadcast_mul(self._reduce(grad_x), local)
        if self.margin.unit_embedding:
            radial = nd.sum(grad_x * self.x, axis=1, keepdims=True)
            grad_x = nd.broadcast_mul(grad_x - nd.broadcast_mul(self.x, radial), self.inverse_x)
        if self.norm_slope is not None:
            along = local * nd.expand_dims(self.norm_slope, axis=1)
            if not self.margin.unit_embedding:
                along = along * self.inverse_x
            grad_x = grad_x + nd.broadcast_mul(self.x, along)
        give(targets[0], grad_x)

    def _all(self, grad):
        """Return the gradients (N,) of the losses of all ranks, without waiting for them."""
        if self.comm.size == 1:
            return grad
        return self.comm.allreduce(_pad(grad, *self.around), op="sum", name=self.name("grad"))

    def gradients(self, grad, weight, bias, class_margin, radial=True):
        """Write the shard's own gradients; return that of all embeddings from this shard."""
        total = None
        for part in self.parts:
            if part.p is None:  # in chunks: once more
                part.compute()
                part.softmax(self.known)
            grad_x = part.gradients(grad, weight, bias, class_margin, radial)
            total = grad_x if total is None else total + grad_x
        return total

    def _reduce(self, grad_x):
        """Return this rank's rows of the gradient summed over the shards."""
        if len(set(self.counts)) == 1:
            return self._narrow(grad_x, self.comm.reducescatter, "gx")
        return self._narrow(grad_x, self.comm.allreduce, "gx")[self.mine]


def _pad(array, before, after):
    """Return an array with rows of zeros before and after its own."""
    parts = [array]
    if before:
        parts.insert(0, nd.zeros((before, *array.shape[1:]), ctx=array.context))
    if after:
        parts.append(nd.zeros((after, *array.shape[1:]), ctx=array.context))
    return nd.concat(*parts, dim=0) if len(parts) > 1 else array


def _merge(packed):
    """Return the softmax's figures (N,) over all of several parts, (parts, N, figures)."""
    tops = packed[:, :, 0]
    top = nd.max(tops, axis=0)
    weights = nd.exp(nd.broadcast_sub(tops, nd.expand_dims(top, axis=0)))
    spread = nd.sum(packed[:, :, 1] * weights, axis=0)
    rest = [nd.sum(packed[:, :, column], axis=0) for column in range(2, packed.shape[2])]
    return [top, spread, *rest]


def _log_of_sum(logs, ctx):
    """Return log of the sum of exp of the numbers in some arrays, (1,)."""
    if not logs:
        return nd.full((1,), NEVER, ctx=ctx)
    logs = nd.concat(*logs, dim=0) if len(logs) > 1 else logs[0]
    top = nd.max(logs).reshape((1,))
    return nd.log(nd.sum(nd.exp(logs - top)).reshape((1,))) + top
