"""One step of USS: samples against the last embedding of each class, as a binary loss.

It follows the head's own step, has its classes, and takes its gathered embeddings where these have
unit length. The terms are those of `binary`, on the rows of a bank instead of centres: a few
classes at a time, without logits that are stored and without a gradient of the rows.
"""

import numpy as np

from ..._compat import mx
from ..binary.step import ShardedBinary
from ..class_centers import Selection
from ..class_chunk import Shard, write_gradient
from ..sharded_softmax import Saved, merge_sums
from .sums import sum_over_rows

__all__ = ["SamplePairs"]

nd = mx.nd
NONE = -1e29  # a log-sum-exp below it is of no class


class SamplePairs(ShardedBinary):
    """The step of one batch; called as `ShardedSoftmax` with its own `watched` and `collect`.

    Parameters
    ----------
    settings : StepSettings
        With the margin that gives the terms.
    comm, labels, counts
        As of `ShardedSoftmax`.
    shard : Shard or None
        Of the head's step.
    bank : EmbeddingBank
        The last embedding of each class. In training mode the batch is written to it afterwards.
    loss : gluonface.loss.auxiliary.uss.USS
        It has the bias.
    weighs : bool
        Whether sampled classes are weighed up.
    gathered : Saved or None
        Of the head's step, with embeddings of unit length.
    """

    def __init__(self, settings, comm, labels, counts, shard, bank, loss, weighs, gathered):
        self.bank, self.loss, self.given, self.every_label = bank, loss, gathered, labels
        self.of_head, rows = shard, None
        self.column_weight = None if shard is None or not weighs else shard.inclusion
        if shard is not None:
            size = shard.weight.shape[0]
            rows = Shard(
                shard.start,
                shard.stop,
                bank.rows_of_step(slice(0, size) if shard.index is None else shard.index),
                index=shard.index,
                column_weight=self.column_weight,
                zeros_are_absent=True,
            )
        bias = loss.value("bias")
        self.watched = (bias,)
        selection = Selection(rows, self.watched, self.collect, bias, self._write_bias)
        # A sample whose class has no row is a negative of all others only.
        super().__init__(settings, comm, bank.without_unseen(labels), counts, selection)
        first = self.around[0]
        self.labels = labels[first : first + self.total] if settings.replicated else labels

    def collect(self, gradients, targets):
        """Return the gradient of all embeddings by this rank's rows; see `Selection`."""
        return None if self.terms is None else gradients((None, None, None))

    @staticmethod
    def _write_bias(gradient, targets):
        write_gradient(targets[0], gradient)

    def remember(self, embedding):
        """Write a batch (B, D) to the bank without computing losses."""
        if mx.autograd.is_training():
            with mx.autograd.pause():
                self._write(self._gather(embedding.detach())[0])

    def _write(self, saved):
        self.bank.replace(self._everyone(saved), self.every_label)

    def _gather(self, embedding):
        given = self.given
        if given is None:
            return super()._gather(embedding)
        return Saved(x=given.x, inverse_x=given.inverse_x, x_all=given.x_all), None

    def _forward(self, embedding, class_margin_sum):
        found = super()._forward(embedding, class_margin_sum)
        if self.training:
            self._write(found[2])
        return found

    def _before_terms(self, saved):
        """Give the bias its first value, or leave out all terms while the bank is empty."""
        self.loss.next_batch(lambda: self._first_bias(saved.x_all))
        if not self.loss.started:
            self.terms = None

    def _first_bias(self, x):
        """Return the mean of log sum exp(s c_j) over the other classes, (1,); None without any."""
        shift = self.column_weight
        if shift is not None:
            shift = nd.array(np.log(shift), ctx=self.settings.ctx)
        sums = sum_over_rows(self.bank, self.of_head, self.settings, x, self.labels, shift)
        packed = nd.expand_dims(nd.stack(*sums[:2], axis=1), axis=0)
        ranks = self.all_ranks
        if self.comm.size > 1:
            packed = self.comm.allgather(packed, name=self._name("start"))
        top, spread = merge_sums(packed)
        found = (top + nd.log(spread)).asnumpy().astype(np.float64)
        found = found[found > NONE]
        total = np.array([found.sum(), len(found)])
        if self.comm.size == 1 and ranks.size > 1:  # own samples, all classes
            total = nd.array(total, dtype="float64")
            total = ranks.allreduce(total, op="sum", name=self._name("start")).asnumpy()
        return nd.array([total[0] / total[1]], ctx=self.settings.ctx) if total[1] else None
