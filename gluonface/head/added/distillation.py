"""One step of logit distillation: the student's softmax over sharded classes against a teacher's.

From `PartialFC.distill`, after the head's own step and with the classes of that step. Both networks
have class centres, in the same order of classes; those of the teacher do not change. A rank
computes three numbers for each sample, log-sum-exps of both and the inner product of the teacher's
probabilities with the difference of the logits, and gets the global ones from those of all ranks.
"""

import numpy as np

from ..._compat import mx
from ...errors import InputError
from ..array_operations import (
    as_ndarray,
    as_numpy,
    dense,
    dense_gradients,
    inverse_norms,
    on_host,
    row_blocks,
    scale_columns,
    subtract_radial,
)
from ..class_chunk import NO_LOGIT, write_gradient
from ..sharded_softmax import Saved, ShardedSoftmax

__all__ = ["DistilledSoftmax", "TeacherCenters"]

nd = mx.nd
BLOCK = 1 << 16  # rows that are normalised at a time


class TeacherCenters:
    """The teacher's class centres of a rank's classes, of unit length.

    Parameters
    ----------
    centers : array-like (C, D_t)
        Of all classes; a memory-mapped file does.
    start, stop : int
        The classes of the rank.
    ctx : mxnet.Context
    """

    def __init__(self, centers, start, stop, ctx):
        self.ctx, self.size = ctx, int(centers.shape[1])
        self.rows = np.empty((stop - start, self.size), np.float32)
        for first in range(start, stop, BLOCK):
            some = np.asarray(centers[first : min(stop, first + BLOCK)], np.float32)
            lengths = np.linalg.norm(some, axis=1, keepdims=True)
            bad = np.flatnonzero(~np.isfinite(lengths[:, 0]))
            if len(bad):
                raise InputError(
                    f"the teacher's centre of class {first + bad[0]} is not finite; "
                    "export the centres again"
                )
            self.rows[first - start : first - start + len(some)] = some / np.maximum(lengths, 1e-12)
        self._whole = None

    def take(self, index):
        """Return the rows of some classes, less the first, or of all, as an NDArray."""
        if index is not None:
            rows = np.take(self.rows, index, axis=0)
            return as_ndarray(rows) if self.ctx.device_type == "cpu" else nd.array(rows, self.ctx)
        if self._whole is None and len(self.rows):
            self._whole = nd.array(self.rows, ctx=self.ctx)
        return self._whole


class DistilledSoftmax(ShardedSoftmax):
    """The step of one batch. Call it once, as a `ShardedSoftmax`; it returns losses and None.

    Parameters
    ----------
    settings, comm, labels, counts, shard
        As of `ShardedSoftmax`.
    teacher : NDArray (B, D_t) float32
        The teacher's embeddings of this rank's samples.
    centers : NDArray (m, D_t) or None
        The teacher's centres of the shard's classes in the step, of unit length.
    temperature : float
        What logits are divided by.
    """

    def __init__(self, settings, comm, labels, counts, shard, teacher, centers, temperature):
        super().__init__(settings, comm, labels, counts, shard)
        self.teacher, self.centers, self.temperature = teacher, centers, temperature
        self.sharpness = settings.scale / temperature  # a softened logit is the cosine times that

    def _name(self, what):
        return f"{self.settings.name}.distill.{what}"

    def _forward(self, embedding, class_margin_sum):
        saved = Saved()
        saved.inverse_x = nd.expand_dims(inverse_norms(embedding, wait=False), axis=1)
        saved.x = nd.broadcast_mul(embedding, saved.inverse_x)
        saved.x_all = self._narrow(saved.x, self.comm.allgather, "x")
        teacher = self.teacher
        teacher = nd.broadcast_mul(teacher, nd.expand_dims(inverse_norms(teacher), axis=1))
        self.teacher_all = self._narrow(teacher, self.comm.allgather, "teacher")
        found = [_statistics(*self._logits(chunk, saved.x_all)) for chunk in self.chunks]
        if not found:
            empty = nd.full((self.total, 3), NO_LOGIT, ctx=self.settings.ctx)
            empty[:, 2] = 0.0
            found = [empty]
        packed = nd.stack(*found, axis=0)
        if self.comm.size > 1:
            if len(found) > 1:  # one set from each rank
                packed = nd.expand_dims(_merge(packed), axis=0)
            packed = self.comm.allgather(packed, name=self._name("softmax"))
        whole = _merge(packed)
        ours, theirs, dot = (whole[:, column] for column in range(3))
        saved.softmax = ours, theirs
        loss = self.temperature**2 * (dot - theirs + ours)
        return loss[self.mine], None, saved

    def _logits(self, chunk, x):
        """Return the softened logits (N, n) of both networks to a chunk's classes."""
        cut = slice(None) if chunk.classes is None else chunk.classes
        kept = chunk.exponentials  # of the forward pass
        if kept is not None:
            chunk.exponentials = None
            return kept
        if chunk.inverse is None:
            chunk.inverse = inverse_norms(chunk.weight)
        ours = dense(x, chunk.weight)
        scale_columns(ours, chunk.inverse * self.sharpness)
        theirs = dense(self.teacher_all * self.sharpness, self.centers[cut])
        if self.settings.chunk is None:
            chunk.exponentials = ours, theirs
        return ours, theirs

    def _gradients(self, saved, grad, targets, radial=True):
        """Write the gradients of the shard; return that of all embeddings from this shard."""
        weight, *others = targets
        for target in others:  # biases and class margins have no part in it
            if target is not None and not target[1]:
                target[0][:] = 0.0
        total, factor = None, self.temperature * self.settings.scale
        x = nd.broadcast_mul(saved.x_all, nd.expand_dims(grad, axis=1))
        array, add = weight or (None, True)
        for chunk in self.chunks:
            chunk.use_backward_arrays()
            ours, theirs = self._logits(chunk, saved.x_all)
            _to_gradient(ours, theirs, *saved.softmax, factor)
            chunk.forget()
            scale_columns(ours, chunk.inverse)
            here = slice(0, None) if chunk.classes is None else chunk.classes
            rows = nd.empty(chunk.weight.shape, ctx=self.settings.ctx) if add else array[here]
            grad_x = dense_gradients(ours, x, chunk.weight, rows)
            if radial and weight is not None:
                subtract_radial(rows, chunk.weight, chunk.inverse)
            if add and weight is not None:
                write_gradient((array[here], True), rows)
            total = grad_x if total is None else total + grad_x
        return total


def _operations(array):
    """Return the arrays to work on in blocks, and their exponential and logarithm."""
    if on_host(array):
        return as_numpy, np.exp, np.log
    return (lambda each: each), nd.exp, nd.log


def _statistics(ours, theirs):
    """Return log-sum-exps of both and the inner product (N, 3) of softened logits (N, n)."""
    view, exp, log = _operations(ours)
    s, t = view(ours), view(theirs)
    found = []
    for block in row_blocks(s):
        top_s, top_t = s[block].max(axis=1, keepdims=True), t[block].max(axis=1, keepdims=True)
        sum_s = exp(s[block] - top_s).sum(axis=1, keepdims=True)
        spread = exp(t[block] - top_t)
        sum_t = spread.sum(axis=1, keepdims=True)
        dot = (spread * (t[block] - s[block])).sum(axis=1, keepdims=True) / sum_t
        found.append((log(sum_s) + top_s, log(sum_t) + top_t, dot))
    if isinstance(s, np.ndarray):
        return nd.array(np.concatenate([np.concatenate(each, axis=1) for each in found]))
    return nd.concat(*[nd.concat(*each, dim=1) for each in found], dim=0)


def _merge(packed):
    """Return the numbers (N, 3) of all classes, from those of several sets, (sets, N, 3)."""
    tops = nd.max(packed[:, :, :2], axis=0)
    shares = nd.exp(nd.broadcast_sub(packed[:, :, :2], nd.expand_dims(tops, axis=0)))
    sums = nd.sum(shares, axis=0)
    dot = nd.sum(shares[:, :, 1] * packed[:, :, 2], axis=0) / sums[:, 1]
    return nd.concat(nd.log(sums) + tops, nd.expand_dims(dot, axis=1), dim=1)


def _to_gradient(ours, theirs, log_ours, log_theirs, factor):
    """Turn softened logits in place into `factor` times the difference of the probabilities."""
    view, exp, _ = _operations(ours)
    s, t, log_s, log_t = (view(each) for each in (ours, theirs, log_ours, log_theirs))
    for block in row_blocks(s):
        shares = exp(s[block] - log_s[block].reshape((-1, 1)))
        shares -= exp(t[block] - log_t[block].reshape((-1, 1)))
        shares *= factor
        s[block] = shares
