"""One step of a sharded binary loss: losses forward, gradients backward.

A sample's loss is a sum of one term for each class (`BinaryMargin`). So a rank needs its own
classes only, and the ranks exchange less than a softmax does:

- the labels and the embeddings, as for every sharded head;
- one number for each sample, its loss, with three for the figures of `PartialFC.stats`;
- the gradient of the losses, and that of the embeddings, as for every sharded head;
- the gradient of the bias that all classes share: one number.

The gradient of the embeddings is computed in the forward pass, while logits and centres are in the
cache. `terms` says what is kept for that of the centres.
"""

from ..._compat import mx
from ..sharded_softmax import ShardedSoftmax
from .device_terms import DeviceTerms
from .terms import BinaryTerms

__all__ = ["ShardedBinary"]

nd = mx.nd


class ShardedBinary(ShardedSoftmax):
    """The step of one batch; called as `ShardedSoftmax`.

    Parameters
    ----------
    settings, comm, labels, counts
        As for `ShardedSoftmax`.
    selection : Selection
        The classes of this rank that are in the step.
    """

    def __init__(self, settings, comm, labels, counts, selection):
        super().__init__(settings, comm, labels, counts, None)
        self.selection, self.terms = selection, None
        if selection.shard is not None:
            own = labels[self.around[0] : self.around[0] + counts[comm.rank]]
            labels = own if settings.replicated else labels
            kind = BinaryTerms if settings.ctx.device_type == "cpu" else DeviceTerms
            self.terms = kind(settings, selection.shard, labels, selection.shared)

    @staticmethod
    def figures(statistics):
        """Return what `PartialFC.stats` does. A sample counts as right if its logit is above 0."""
        figures, samples = statistics
        accepted, cosines, squares, *tops = figures.asnumpy().tolist()
        return {
            "accuracy": accepted / samples,
            "target_cosine": cosines / samples,
            "squared_cosine": squares / samples,
            "max_logit": max(tops),
        }

    def _forward(self, embedding, class_margin_sum):
        saved, _ = self._gather(embedding)
        self._before_terms(saved)
        if self.terms is None:
            loss = nd.zeros((self.total,), ctx=self.settings.ctx)
            figures = (0.0, 0.0, 0.0, -1e30)
        else:
            loss, figures = self.terms.forward(saved.x_all, self.recording)
        return (*self._exchange(loss, figures), saved)

    def _before_terms(self, saved):
        """Prepare for the terms; centres have nothing to be prepared."""

    def _exchange(self, loss, figures):
        """Return the losses of this rank's samples, and the figures of all ranks."""
        ranks, ctx = self.all_ranks, self.settings.ctx
        *sums, top = figures
        tops = [0.0] * ranks.size
        tops[ranks.rank] = top
        figures = nd.array([*sums, *tops], ctx=ctx)
        if self.comm.size > 1:
            packed = nd.concat(loss, figures, dim=0)
            packed = self.comm.allreduce(packed, op="sum", name=self._name("loss"))
            loss, figures = packed[: self.total], packed[self.total :]
        elif ranks.size > 1:  # own samples, all classes
            figures = ranks.allreduce(figures, op="sum", name=self._name("stats"))
        return loss[self.mine], (figures, self.world)

    def _shared_gradient(self, grad, targets):
        """Sum the gradient of the shared bias over all ranks, and have the centres take it."""
        if self.selection.shared is None:
            return
        total = nd.zeros((1,), ctx=self.settings.ctx)
        if self.terms is not None:
            total = nd.sum(self.terms.by_bias * grad).reshape((1,))
        if self.all_ranks.size > 1:
            total = self.all_ranks.allreduce(total, op="sum", name=self._name("gshared"))
        self.selection.collect_shared(total, targets)

    def _gradients(self, saved, grad, targets, lazy=False):
        """Write the gradients of the shard; return that of all embeddings from this shard.

        With `lazy` the centres have none to write: a `LazyGradient` is returned before the other.
        """
        weight, bias, _ = targets
        self.terms.write_gradients(grad, weight, bias)
        if lazy:
            return self.terms.lazy(grad), self.terms.grad_x
        return self.terms.grad_x
