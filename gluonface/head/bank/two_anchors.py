"""One step of LVFace's loss: the softmax over sharded centres, with a bank as second anchor.

Let Z and Z' be the log-sum-exps over the other classes of the logits to the centres and to the
bank, and z and z' the own class's logits. The loss is

    log(1 + exp(Z - z) + exp(Z' - z')).

It is the cross entropy of one softmax whose target is z: over the centres, and over the rows of the
bank, with z - z' added to their logits. So centres get their gradients as those of CosFace do,
from a softmax in which the bank has a share, and without the bank the losses are CosFace's to the
last bit. With the sum over the centres in both terms (``shared``) it is the cross entropy with the
smooth minimum of z and z' as the target's logit, which is a matter of the margin alone.

The rows of the bank are read some at a time, and logits to them are not stored: they get no
gradient, and what they add to the gradient of the embeddings is computed in the forward pass, up to
one factor for each sample.
"""

from ..._compat import mx
from ..class_chunk import Softmax
from ..sharded_softmax import ShardedSoftmax, merge_sums
from .sums import sum_over_rows

__all__ = ["TwoAnchors"]

nd = mx.nd
FAR = 1e4  # in place of the cosine to a row that is not there: its anchor pulls nothing
NO_ROW = 1e30  # in place of the logit to such a row


class TwoAnchors(ShardedSoftmax):
    """The step of one batch; called as `ShardedSoftmax`.

    Parameters
    ----------
    settings, comm, labels, counts, shard
        As of `ShardedSoftmax`.
    bank : EmbeddingBank
        Updated by the batch in training mode.
    """

    def __init__(self, settings, comm, labels, counts, shard, bank):
        super().__init__(settings, comm, labels, counts, shard)
        self.shard, self.bank, self.every_label = shard, bank, labels
        first = self.around[0]
        self.labels = labels[first : first + self.total] if settings.replicated else labels
        self.separate = self.margin.form == "bank"  # whether the bank has a sum of its own

    def _gather(self, embedding):
        saved, norm = super()._gather(embedding)
        if self.training:
            moving = self.margin.bank == "moving"
            self.bank.average(self._everyone(saved), self.every_label, moving)
        self._meet_bank(saved)
        return saved, norm

    def _meet_bank(self, saved):
        """Compute what the samples have to do with the rows of this rank."""
        ctx, x = self.settings.ctx, saved.x_all
        samples, classes = self.bank.find(self.labels)
        self.samples = None
        own = nd.zeros((self.total,), ctx=ctx)
        if len(samples):  # MXNet has no arrays of size 0
            self.samples = nd.array(samples, ctx=ctx, dtype="int64")
            self.own_rows = self.bank.unit_rows(classes)
            cosine = nd.sum(nd.take(x, self.samples) * self.own_rows, axis=1)
            seen = nd.sum(nd.square(self.own_rows), axis=1) > 0.5
            if self.separate:
                margin = self.margin.bank_margin * self.settings.strength
                values = (cosine - margin) * self.settings.scale
            else:
                values = cosine
            missing = NO_ROW if self.separate else FAR
            own = self._of_samples(nd.where(seen, values, nd.full(values.shape, missing, ctx=ctx)))
        if not self.separate:
            saved.bank_cosines = own
            return
        shift = None if self.shard is None else self.shard.shift
        self.bank_top, spread, self.toward = sum_over_rows(
            self.bank, self.shard, self.settings, x, self.labels, shift, self.recording
        )
        self.bank_sums = [self.bank_top, spread, own]

    def _of_samples(self, values):
        """Return zeros (N, ...) with `values` (k, ...) at the samples whose class is here."""
        where = nd.expand_dims(self.samples, axis=0)
        return nd.scatter_nd(values, where, shape=(self.total, *values.shape[1:]))

    def _combine(self, found):
        if not self.separate:
            return super()._combine(found)
        mine = self._of_this_rank(found)
        count, mine = len(mine), [*mine, *self.bank_sums]
        if self.comm.size == 1:
            return mine
        packed = nd.expand_dims(nd.stack(*mine, axis=1), axis=0)
        packed = self.comm.allgather(packed, name=self._name("softmax"))
        return [*merge_sums(packed[:, :, :count]), *merge_sums(packed[:, :, count:])]

    def _losses(self, top, log_spread, target, *sums):
        if not self.separate:
            return super()._losses(top, log_spread, target)
        bank_top, bank_spread, own = sums
        shift = target - own
        # The log of the bank's mass over that of the centres; far below 0 without an own row.
        excess = (nd.log(bank_spread) + bank_top + shift) - (log_spread + top)
        more = nd.relu(excess) + nd.log1p(nd.exp(-nd.abs(excess)))
        log_spread = log_spread + more
        self.share = nd.sigmoid(excess)
        # What `toward` has to be multiplied by: 1 over the sum that it lacks, from the top on.
        self.factor = nd.exp(self.bank_top + shift - (log_spread + top))
        return log_spread + (top - target), Softmax(top, log_spread, smoothing=self.share)

    def _gradients(self, saved, grad, targets, radial=True):
        total = super()._gradients(saved, grad, targets, radial)
        scale, by_own = self.settings.scale, None
        if self.separate:
            factor = nd.expand_dims(self.factor * scale, axis=1)
            total = total + nd.broadcast_mul(self.toward, factor)
            by_own = self.share * -scale
        else:
            found = [each for each in self.chunks if each.by_bank_cosine is not None]
            for chunk in found:
                mine = chunk.scatter_samples(chunk.by_bank_cosine, self.total)
                by_own = mine if by_own is None else by_own + mine
        if self.samples is not None:
            own = nd.expand_dims(nd.take(by_own, self.samples), axis=1)
            total = total + self._of_samples(nd.broadcast_mul(self.own_rows, own))
        return total
