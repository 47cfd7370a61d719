"""One step of the sharded margin softmax: losses forward, gradients backward.

Written by hand because collectives have no gradient in MXNet. Embeddings of all ranks (N, D)
meet the centres of this shard (m, D). The ranks exchange:

- the labels, before the embeddings are needed (`gather_labels`);
- the embeddings;
- four to six numbers for each sample and shard, from which every rank gets the global softmax;
- the gradient of the losses, which only the centres' gradients need, so no rank waits for it;
- the gradient of the embeddings.

With replicated centres (m = C) each rank computes the losses of its own embeddings alone, and the
centres' gradients are summed over the ranks instead.
"""

import dataclasses
import functools
from typing import Any

import numpy as np

from .._compat import mx
from ..parallel.communicator import Local
from . import custom_function, margin_gradients
from .array_operations import inverse_norms
from .class_chunk import NO_LOGIT, Softmax, class_chunks, log_of_sum, write_gradient

__all__ = ["Saved", "ShardedSoftmax", "gather_labels", "merge_sums"]

nd = mx.nd


def gather_labels(comm, labels, name):
    """Return the labels (N,) of all ranks, and how many samples each rank has. A collective."""
    batch = len(labels)
    if comm.size == 1:
        return labels, [batch]
    tagged = np.stack([labels, np.full(batch, comm.rank)], axis=1)
    # On the CPU: nothing that is queued on a GPU has to be waited for.
    tagged = comm.allgather(nd.array(tagged, dtype="int64"), name=name).asnumpy()
    return tagged[:, 0], np.bincount(tagged[:, 1], minlength=comm.size).tolist()


@dataclasses.dataclass
class Saved:
    """The arrays of the forward pass that the backward pass reads."""

    x: Any = None  # (B, D), this rank's embeddings, normalised if the margin wants it
    inverse_x: Any = None  # (B, 1), 1 over their lengths before that
    x_all: Any = None  # (N, D), those of all ranks
    norms: Any = None  # (N,), lengths of all embeddings
    target_cosine: Any = None  # (N,), as given to `ClassChunk.softmax`
    row_margins: Any = None  # (N,), as given to `ClassChunk.softmax`
    bank_cosines: Any = None  # (N,), as given to `ClassChunk.softmax`

    @property
    def of_samples(self):
        """What `ClassChunk.softmax` takes."""
        return self.target_cosine, self.norms, self.row_margins, self.bank_cosines

    softmax: Any = None  # Softmax
    norm_gradient: Any = None  # (B,), derivatives of the losses by the lengths of the embeddings
    penalty_gradient: Any = None  # (1,), of the penalty on the class margins by each of them


class ShardedSoftmax:
    """The step of one batch. Call it once with the embeddings; autograd calls back.

    Parameters
    ----------
    settings : StepSettings
    comm : Local or Horovod
    labels : numpy.ndarray (N,) int64
        Global class ids of the samples of all ranks.
    counts : list of int
        How many of them each rank has.
    shard : Shard or None
        The classes of this rank that are in the step, or None if there are none.
    """

    def __init__(self, settings, comm, labels, counts, shard):
        self.settings, self.margin = settings, settings.margin
        self.all_ranks = self.comm = comm
        self.world = len(labels)
        first = int(sum(counts[: comm.rank]))
        self.mine = slice(first, first + counts[comm.rank])
        self.around = (first, self.world - self.mine.stop)  # samples of the ranks before and after
        if settings.replicated:  # own samples only; statistics are still those of all ranks
            self.comm, labels, counts = Local(), labels[self.mine], [counts[comm.rank]]
            self.mine = slice(0, len(labels))
        self.counts, self.total = counts, len(labels)
        self.chunks = [] if shard is None else class_chunks(settings, shard, labels)
        self.used = self.training = self.recording = False
        self.gathered = None  # Saved, once the embeddings of all ranks are here
        self.every_target = None  # NDArray (N,), targets' cosines of the samples of all ranks

    def __call__(self, embedding, watched, collect, class_margin_sum=None, after=None):
        """Return the losses (B,) of embeddings (B, D) float32, and statistics.

        Parameters
        ----------
        embedding : NDArray (B, D) float32
        watched : tuple of NDArray or None
            Further arrays whose gradients autograd asks for.
        collect : callable
            ``collect(gradients, targets)`` is called in the backward pass: `targets` has a pair
            (array, add) or None for each of `watched`. ``gradients(targets, radial=True)`` writes
            the gradients of the shard's weight, bias and class margins (`ClassChunk.gradients`)
            and returns that of all embeddings by this shard, (N, D), which `collect` returns; or
            None without classes.
        class_margin_sum : NDArray (1,), optional
            The sum of the learned margins of all classes of this rank.
        after : NDArray (B,), optional
            Losses of another step, whose backward pass is to begin when this one has ended: then
            the collectives of both have one order on all ranks.

        Returns
        -------
        losses : NDArray (B,)
        statistics : tuple of NDArray (N,)
            Largest logit, target logit and target cosine of every sample of all ranks.
        """
        self.training, self.recording = mx.autograd.is_training(), mx.autograd.is_recording()
        with mx.autograd.pause():
            loss, statistics, saved = self._forward(embedding.detach(), class_margin_sum)
        inputs = [embedding, *(array for array in watched if array is not None)]
        if after is not None:
            inputs.append(after)
        given = [array is not None for array in watched]
        backward = functools.partial(self._backward, saved, collect, given)
        custom_function.record(inputs, loss, backward)
        return loss, statistics

    def _name(self, what):
        """Return the name of one of the head's collectives."""
        return f"{self.settings.name}.{what}"

    @staticmethod
    def figures(statistics):
        """Return what `PartialFC.stats` does, of a step's statistics. Waits for them."""
        largest, target, cosine = (array.asnumpy() for array in statistics)
        return {
            "accuracy": float(np.mean(target >= largest)),
            "target_cosine": float(np.mean(cosine)),
            "squared_cosine": float(np.mean(np.square(cosine, dtype=np.float64))),
            "max_logit": float(np.max(largest)),
        }

    def _gather(self, embedding):
        """Return a `Saved` with the embeddings of all ranks, and the lengths of this rank's."""
        comm, margin, saved = self.comm, self.margin, Saved()
        norm = nd.norm(embedding, axis=1) if margin.uses_norm else None
        if margin.unit_embedding or margin.norm_gradient or margin.penalises_norm:
            saved.inverse_x = nd.expand_dims(inverse_norms(embedding, wait=False), axis=1)
        if margin.unit_embedding:
            saved.x = nd.broadcast_mul(embedding, saved.inverse_x)
        else:
            saved.x = embedding.copy()  # a network with static memory may overwrite its own
        saved.x_all = self._narrow(saved.x, comm.allgather, "x")
        if norm is not None:
            saved.norms = comm.allgather(norm, name=self._name("norm"))
        self.gathered = saved
        return saved, norm

    def _forward(self, embedding, class_margin_sum):
        margin = self.margin
        saved, norm = self._gather(embedding)
        if margin.shares_target or (self.training and margin.statistics):
            saved.target_cosine = self._before_logits(saved.x_all, saved.norms)
        if margin.has_row_margin:
            saved.row_margins = self._row_margins()
        found = []
        for chunk in self.chunks:
            if chunk.scores is None:
                chunk.compute(saved.x_all)
            found.append(chunk.softmax(*saved.of_samples))
            self._forget(chunk)
        top, spread, target, target_cosine, *sums = self._combine(found)
        statistics = self._over_all_ranks((top, target, target_cosine), "stats")
        loss, saved.softmax = self._losses(top, nd.log(spread), target, *sums)
        loss = loss[self.mine]
        if margin.norm_gradient or margin.penalises_norm:
            softmax = saved.softmax
            by_target = nd.exp(target - softmax.top - softmax.log_spread) - 1.0
            if softmax.smoothing is not None:
                by_target = by_target + softmax.smoothing
            by_target = by_target[self.mine] * self.settings.scale
            own_cosine = target_cosine[self.mine]
            penalty, saved.norm_gradient = margin_gradients.norm_terms(
                margin, self.settings.strength, norm, own_cosine, by_target
            )
            loss = loss + penalty
        if margin.has_class_margin:
            penalty, saved.penalty_gradient = self._class_penalty(class_margin_sum)
            loss = loss + penalty
        return loss, statistics, saved

    def _everyone(self, saved):
        """Return the embeddings of all ranks, also where a step has this rank's samples only."""
        if self.total == self.world:
            return saved.x_all
        return self.all_ranks.allgather(saved.x, name=self._name("x"))

    def _forget(self, chunk):
        """Drop a chunk's large arrays if the backward pass is to compute them once more."""
        if self.settings.chunk is not None:
            chunk.forget()

    def _narrow(self, array, collective, what):
        """Return the result of a collective on an array that travels in the wire format."""
        dtype = self.settings.wire_dtype
        if self.comm.size == 1 or dtype == "float32":
            return collective(array, name=self._name(what))
        return collective(array.astype(dtype), name=self._name(what)).astype("float32")

    def _over_all_ranks(self, figures, what):
        """Return figures (n,) of this step's samples for those of all ranks, (N,). No wait."""
        if self.total == self.world:
            return figures
        packed = _pad(nd.stack(*figures, axis=1), *self.around)
        packed = self.all_ranks.allreduce(packed, op="sum", name=self._name(what))
        return tuple(packed[:, column] for column in range(len(figures)))

    def _before_logits(self, x_all, norms):
        """Share what the margin needs before any logit; return the targets' cosines or None."""
        margin, ctx, training = self.margin, self.settings.ctx, self.training
        own, log_sums = nd.zeros((self.total,), ctx=ctx), []
        for chunk in self.chunks:
            chunk.compute(x_all)
            own = own + chunk.scatter_samples(chunk.cosine, self.total)
            if training and "log_sum" in margin.statistics:
                log_sums.append(chunk.log_sum())
            self._forget(chunk)
        target_cosine = None
        if margin.shares_target:
            target_cosine = self.comm.allreduce(own, op="sum", name=self._name("target"))
        if "cosine" in margin.statistics and (training or margin.has_row_margin):
            (self.every_target,) = self._over_all_ranks((target_cosine,), "target")
        if training and margin.statistics:
            self._update_margin(norms, log_sums)
        return target_cosine

    def _row_margins(self):
        """Return the margins (N,) of this step's samples, drawn for those of all ranks."""
        cosine = None if self.every_target is None else self.every_target.asnumpy()
        found = self.margin.row_margins(self.world, cosine)
        first = self.around[0] if self.total < self.world else 0
        return nd.array(found[first : first + self.total], ctx=self.settings.ctx)

    def _update_margin(self, norms, log_sums):
        """Update the margin's state by the global batch, alike on all ranks."""
        margin, statistics = self.margin, {}
        if "cosine" in margin.statistics:
            statistics["cosine"] = self.every_target
        if "norm" in margin.statistics:
            (statistics["norm"],) = self._over_all_ranks((norms,), "norm")
        if "log_sum" in margin.statistics:
            mine = log_of_sum(log_sums, self.settings.ctx)
            every = self.all_ranks.allgather(mine, name=self._name("log_sum"))
            statistics["log_sum"] = log_of_sum([every], self.settings.ctx)
        margin.update(nd, **statistics)

    def _class_penalty(self, class_margin_sum):
        """Return the penalty on the margins of all classes (1,), and its derivative by each."""
        classes = self.settings.num_classes
        mean = class_margin_sum / classes
        mean = self.comm.allreduce(mean, op="sum", name=self._name("class_margin"))
        penalty, gradient = margin_gradients.class_penalty(
            self.margin, self.settings.strength, mean
        )
        return penalty, gradient / classes

    def _combine(self, found):
        """Return the sums over the classes of all ranks, from those of this rank's chunks."""
        mine = self._of_this_rank(found)
        if self.comm.size > 1:
            packed = nd.expand_dims(nd.stack(*mine, axis=1), axis=0)
            mine = merge_sums(self.comm.allgather(packed, name=self._name("softmax")))
        return mine

    def _of_this_rank(self, found):
        """Return the sums over the classes of this rank, from those of its chunks."""
        ctx = self.settings.ctx
        if found:
            mine = found[0]
        else:
            zeros = nd.zeros((self.total,), ctx=ctx)
            mine = [zeros] * (6 if self.settings.label_smoothing else 4)
            mine[0] = nd.full((self.total,), NO_LOGIT, ctx=ctx)
        if len(found) > 1:
            mine = merge_sums(nd.stack(*[nd.stack(*each, axis=1) for each in found], axis=0))
        return mine

    def _losses(self, top, log_spread, target, sums=None, count=None):
        """Return the cross entropy (N,) of all samples, and the `Softmax`.

        `sums` and `count` (N,), for label smoothing, are of the logits in the denominator.
        """
        loss = log_spread + (top - target)
        if sums is None:
            return loss, Softmax(top, log_spread)
        others = count - 1.0
        rest = (log_spread + top) * others - (sums - target)
        # The target keeps its whole probability if there is no other class.
        smoothing = self.settings.label_smoothing * (others > 0.0)
        each = smoothing / nd.maximum(others, 1.0)
        loss = loss * (1.0 - smoothing) + rest * each
        return loss, Softmax(top, log_spread, smoothing, each)

    def _backward(self, saved, collect, given, grad, targets):
        """Write the gradients of the embedding and the inputs, given that of the losses (B,)."""
        if self.used:
            raise RuntimeError("backward was called twice; the head keeps one use of its arrays")
        self.used = True
        grad_all, rest = self._grad_of_all_ranks(grad), iter(targets[1:])
        if len(targets) > 1 + sum(given) and targets[-1] is not None and not targets[-1][1]:
            targets[-1][0][:] = 0.0  # of `after`
        watched = [next(rest) if each else None for each in given]
        self._shared_gradient(grad_all, watched)
        grad_x = collect(functools.partial(self._gradients, saved, grad_all), watched)
        if grad_x is None:
            grad_x = nd.zeros_like(saved.x_all)
        # Each rank's own share of the gradient comes last: until then the derivative by a logit is
        # at most the scale, whatever the number of samples, and fits into float16.
        local = nd.expand_dims(grad, axis=1)
        grad_x = nd.broadcast_mul(self._reduce(grad_x), local)
        if self.margin.unit_embedding:
            radial = nd.sum(grad_x * saved.x, axis=1, keepdims=True)
            grad_x = nd.broadcast_mul(grad_x - nd.broadcast_mul(saved.x, radial), saved.inverse_x)
        if saved.norm_gradient is not None:
            along = local * nd.expand_dims(saved.norm_gradient, axis=1)
            if not self.margin.unit_embedding:
                along = along * saved.inverse_x
            grad_x = grad_x + nd.broadcast_mul(saved.x, along)
        write_gradient(targets[0], grad_x)

    def _grad_of_all_ranks(self, grad):
        """Return the gradients (N,) of the losses of all ranks, without waiting for them."""
        if self.comm.size == 1:
            return grad
        return self.comm.allreduce(_pad(grad, *self.around), op="sum", name=self._name("grad"))

    def _gradients(self, saved, grad, targets, radial=True):
        """Write the gradients of the shard; return that of all embeddings from this shard."""
        total = None
        for chunk in self.chunks:
            chunk.use_backward_arrays()
            if chunk.exponentials is None:  # in chunks: once more
                chunk.compute(saved.x_all)
                chunk.softmax(*saved.of_samples)
            grad_x = chunk.gradients(
                saved.x_all, grad, saved.softmax, saved.penalty_gradient, targets, radial
            )
            total = grad_x if total is None else total + grad_x
        return total

    def _shared_gradient(self, grad, targets):
        """Hand over the gradient of what all classes share; a softmax has nothing of the kind."""

    def _reduce(self, grad_x):
        """Return this rank's rows of the gradient summed over the shards."""
        if len(set(self.counts)) == 1:
            return self._narrow(grad_x, self.comm.reducescatter, "gx")
        return self._narrow(grad_x, self.comm.allreduce, "gx")[self.mine]


def _pad(array, before, after):
    """Return an array with rows of zeros before and after its own."""
    arrays = [array]
    if before:
        arrays.insert(0, nd.zeros((before, *array.shape[1:]), ctx=array.context))
    if after:
        arrays.append(nd.zeros((after, *array.shape[1:]), ctx=array.context))
    return nd.concat(*arrays, dim=0) if len(arrays) > 1 else array


def merge_sums(packed):
    """Return the sums (N,) over several sets of classes, from those of each, (sets, N, sums)."""
    tops = packed[:, :, 0]
    top = nd.max(tops, axis=0)
    weights = nd.exp(nd.broadcast_sub(tops, nd.expand_dims(top, axis=0)))
    spread = nd.sum(packed[:, :, 1] * weights, axis=0)
    rest = [nd.sum(packed[:, :, column], axis=0) for column in range(2, packed.shape[2])]
    return [top, spread, *rest]
