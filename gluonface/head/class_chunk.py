"""The margin softmax on some classes of a shard: what one process computes without asking others.

One (N, n) array is alive for the margins that leave the other classes' cosines alone, two for the
rest, three with the filter, k + 2 with k centres for each class.
"""

import dataclasses
from typing import Any, NamedTuple, Optional

import numpy as np

from .._compat import mx
from ..loss._block import log_sum
from . import margin_gradients
from .array_operations import (
    add_at,
    class_max,
    dense,
    dense_gradients,
    empty_matrix,
    exponentials,
    inverse_norms,
    on_host,
    row_blocks,
    scale_columns,
    scale_rows_and_columns,
    scatter,
    subtract_radial,
    weighted_columns,
)

__all__ = [
    "NO_LOGIT",
    "ClassChunk",
    "Shard",
    "Softmax",
    "StepSettings",
    "class_chunks",
    "log_of_sum",
    "write_gradient",
]

nd = mx.nd
NO_LOGIT = np.float32(-1e30)  # the largest logit of a shard without classes; exp of it is 0


@dataclasses.dataclass(frozen=True)
class StepSettings:
    """What a step needs beside arrays, as of its forward pass; `PartialFC` has the meanings."""

    margin: Any
    scale: float
    strength: float
    num_classes: int
    label_smoothing: float
    filter_above: Optional[float]
    chunk: Optional[int]
    wire_dtype: str
    replicated: bool  # whether every rank has all class centres
    ctx: Any
    name: str  # prefix of the collectives


@dataclasses.dataclass(frozen=True)
class Shard:
    """The m classes of this rank that are in a step, with their arrays."""

    start: int  # global ids of the classes that the rank owns
    stop: int
    weight: Any  # NDArray (m, k D), the centres; of binary terms also what gives blocks of rows
    bias: Any = None  # NDArray (m,)
    class_margin: Any = None  # NDArray (m,)
    # The same memory of these three for the backward pass, see `untracked`.
    backward: tuple = (None, None, None)
    inverse: Any = None  # NDArray (m k,), 1 over the lengths of the centres, if they are known
    shift: Any = None  # NDArray (m,), added to the logits of sampled classes
    index: Any = None  # sorted ids of the classes, less `start`; None if all are in the step
    column_weight: Any = None  # numpy.ndarray (m,), factors of the other classes' binary terms
    inclusion: Any = None  # numpy.ndarray (m,), 1 over the probability to be in the step
    zeros_are_absent: bool = False  # whether a row of zeros of `weight` is no class

    def find(self, labels):
        """Return which of the samples have their class here, and the columns of the classes."""
        samples = np.flatnonzero((labels >= self.start) & (labels < self.stop))
        columns = labels[samples] - self.start
        if self.index is not None:
            columns = np.searchsorted(self.index, columns)
        return samples, columns


class Softmax(NamedTuple):
    """The softmax over the classes of all ranks: NDArrays (N,), a number for each sample."""

    top: Any  # the largest logit
    log_spread: Any  # log of the sum of exp(logit - top)
    # The probability that the target gives away to others: by label smoothing, or to a bank.
    smoothing: Any = None
    each: Any = None  # of label smoothing: the share of each other class


def class_chunks(settings, shard, labels):
    """Return a shard's classes as `ClassChunk` objects of ``settings.chunk`` classes each."""
    samples, columns = shard.find(labels)
    size = shard.weight.shape[0]
    width = min(size, settings.chunk or size)
    chunks = []
    for first in range(0, size, width):
        classes = slice(first, min(size, first + width))
        here = (columns >= classes.start) & (columns < classes.stop)
        own = samples[here], columns[here] - classes.start
        chunks.append(ClassChunk(settings, shard, classes, *own))
    return chunks


class ClassChunk:
    """The logits of all samples to some classes of a shard.

    Parameters
    ----------
    settings : StepSettings
    shard : Shard
    classes : slice
        The columns of the shard.
    samples, columns : numpy.ndarray (k,) of int
        The samples whose own class is here, and the columns of their classes.

    Attributes
    ----------
    scores : NDArray (N, n) or None
        Between `compute` and `softmax`.
    cosine : NDArray (k,) or None
        Of the samples to their own class.
    exponentials : NDArray (N, n) or None
        Between `softmax` and `gradients`.
    by_bank_cosine : NDArray (k,) or None
        Derivatives of the losses by the `bank_cosines` of its samples, after `gradients`.
    """

    bank_gradient = by_bank_cosine = None

    def __init__(self, settings, shard, classes, samples, columns):
        self.settings, self.margin, self.ctx = settings, settings.margin, settings.ctx
        whole = (classes.stop - classes.start) == shard.weight.shape[0]
        k = self.margin.subcenters

        def cut(array, width=1):
            if array is None or whole:
                return array
            return array[classes.start * width : classes.stop * width]

        self.classes = None if whole else classes
        self.weight = _one_center_a_row(cut(shard.weight), k)
        self.bias, self.class_margin = cut(shard.bias), cut(shard.class_margin)
        weight, bias, class_margin = map(cut, shard.backward)
        self._backward = _one_center_a_row(weight, k), bias, class_margin
        self.shift, self.inverse = cut(shard.shift), cut(shard.inverse, k)
        self.own = self.cosine = None
        if len(samples):  # MXNet has no arrays of size 0
            self.samples = nd.array(samples, ctx=self.ctx, dtype="int64")
            self.columns = nd.array(columns, ctx=self.ctx, dtype="int64")
            self.own = nd.stack(self.samples, self.columns)
        self.forget()

    def forget(self):
        """Drop the arrays of the size (N, n)."""
        self.scores = self.exponentials = self.nearest = None
        self.others_gradient = self.allowed = None

    def use_backward_arrays(self):
        """From now on read the centres, biases and margins as a backward pass must."""
        self.weight, self.bias, self.class_margin = self._backward

    def compute(self, x):
        """Compute the scores of embeddings (N, D), and those of the samples' own classes.

        They are cosines, or inner products where a side is not normalised. If nothing but the
        softmax follows, the division by the centres' lengths is left to it.
        """
        margin = self.margin
        k, weight = margin.subcenters, self.weight
        bias = None if self.bias is None else self.bias / self.settings.scale
        scores = dense(x, weight, bias)
        self.late_inverse = None  # factors of the columns that are not in `scores` yet
        if margin.unit_weight:
            if self.inverse is None:
                self.inverse = inverse_norms(weight)
            plain = k == 1 and not margin.changes_others and not margin.statistics
            if plain and self.settings.filter_above is None:
                self.late_inverse = self.inverse
            else:  # scaling N x n products is cheaper than normalising n x D centres
                scale_columns(scores, self.inverse)
        if k > 1:
            scores = self._nearest_center(scores.reshape((0, -1, k)))
        if self.own is not None:
            self.cosine = nd.gather_nd(scores, self.own)
            if self.late_inverse is not None:
                self.cosine = self.cosine * nd.take(self.late_inverse, self.columns)
        self.scores = scores

    def _nearest_center(self, each):
        """Return the scores (N, n) of the nearest of k centres; `each` becomes its mask."""
        scores = empty_matrix(each.shape[:2], self.ctx)
        for block in row_blocks(each):
            some = each[block]
            top = class_max(some)
            scores[block] = top
            each[block] = nd.broadcast_equal(some, nd.expand_dims(top, axis=2))
            if on_host(each):  # its arrays are freed before the next ones are made
                each.wait_to_read()
        self.nearest = each
        return scores

    def scatter_samples(self, values, total):
        """Return (total,): `values` (k,) for the samples whose class is here, 0 for the others."""
        if self.own is None:
            return nd.zeros((total,), ctx=self.ctx)
        return nd.scatter_nd(values, nd.expand_dims(self.samples, axis=0), shape=(total,))

    def log_sum(self):
        """Return the log of the sum of ``Margin.exponents`` over this chunk, (1,)."""
        own = nd.zeros_like(self.scores)
        if self.own is not None:
            scatter(own, self.own, nd.ones_like(self.cosine))
        found = []
        for block in row_blocks(own):
            exponents = self.margin.exponents(nd, self.scores[block])
            if self.shift is not None:
                exponents = nd.broadcast_add(exponents, nd.expand_dims(self.shift, axis=0))
            found.append(log_sum(exponents, own[block]))
            if on_host(own):  # its arrays are freed before the next ones are made
                found[-1].wait_to_read()
        return log_of_sum(found, self.ctx)

    def softmax(self, target_cosine, norms, row_margins=None, bank_cosines=None):
        """Turn the scores into exponentials; return the sums that go into the global softmax.

        Parameters
        ----------
        target_cosine : NDArray (N,) or None
            Of all samples, for margins that need it for every logit.
        norms : NDArray (N,) or None
            The lengths of all embeddings, for margins that use them.
        row_margins : NDArray (N,), optional
            For margins with one for each sample.
        bank_cosines : NDArray (N,), optional
            Of the samples whose class is here to its row of the bank.

        Returns
        -------
        tuple of NDArray (N,)
            The largest logit, the sum of exp(logit - largest), the target's logit and cosine (0
            where the target is elsewhere), and, for label smoothing, the sum and the number of
            the logits in the denominator.
        """
        logits, self.scores = self.scores, None
        settings, margin, total = self.settings, self.margin, logits.shape[0]
        scale, strength = settings.scale, settings.strength
        if settings.filter_above is not None:
            self.allowed = logits <= settings.filter_above
            if self.own is not None:
                scatter(self.allowed, self.own, nd.ones_like(self.cosine))
        if margin.changes_others:
            self.others_gradient = margin_gradients.others(
                margin, logits, strength, target_cosine, norms
            )
        target = None
        if self.own is not None:
            margined, self.target_gradient, *more = margin_gradients.target(
                margin,
                self.cosine,
                strength,
                None if norms is None else nd.take(norms, self.samples),
                None if self.class_margin is None else nd.take(self.class_margin, self.columns),
                None if row_margins is None else nd.take(row_margins, self.samples),
                None if bank_cosines is None else nd.take(bank_cosines, self.samples),
            )
            self.class_margin_gradient, self.bank_gradient = more
            target = margined * scale
        more = self._smoothing_sums(logits, target, total) if settings.label_smoothing else ()
        if self.allowed is not None:
            for block in row_blocks(logits):
                never = nd.full(logits[block].shape, NO_LOGIT, ctx=self.ctx)
                logits[block] = nd.where(self.allowed[block], logits[block], never)
        target = self.target = self.scatter_samples(target, total)
        cosine = self.scatter_samples(self.cosine, total)
        own = None if self.own is None else nd.take(target, self.samples)
        self.top, spread = exponentials(logits, scale, self.late_inverse, self.shift, self.own, own)
        self.exponentials = logits
        if margin.homogeneous and more:
            self.others_sum = more[0] - target  # without the sample's own class, if it is here
        return (self.top, spread, target, cosine, *more)

    def _smoothing_sums(self, logits, target, total):
        """Return the sum of the logits of each sample, without the shift of sampling, and count."""
        count = nd.full((total,), logits.shape[1], ctx=self.ctx)
        weights = self.late_inverse
        if weights is None:
            weights = nd.ones((logits.shape[1],), ctx=self.ctx)
        if self.allowed is not None:
            logits, count = logits * self.allowed, nd.sum(self.allowed, axis=1)
        scale = self.settings.scale
        sums = nd.dot(logits, weights) * scale
        if self.own is not None:
            scores = nd.gather_nd(logits, self.own) * nd.take(weights, self.columns)
            sums = sums + self.scatter_samples(target - scores * scale, total)
        return sums, count

    def gradients(self, x, grad, softmax, penalty_gradient, targets, radial=True):
        """Write the gradients of this chunk's centres; return that of the embeddings, (N, D).

        Parameters
        ----------
        x : NDArray (N, D)
            The embeddings that `compute` had.
        grad : NDArray (N,)
            Gradient of each sample's loss. That of the embeddings is given without it.
        softmax : Softmax
        penalty_gradient : NDArray (1,) or None
            Of the penalty on the class margins, by each class margin.
        targets : sequence of three tuples (NDArray, bool) or None
            Where the shard's gradients of weight, bias and class margins are wanted, and whether
            they are to be added to what is there.
        radial : bool, default True
            Whether to subtract the components along the centres from their gradients.
        """
        margin, k = self.margin, self.margin.subcenters
        weight, bias, class_margin = map(self._cut, targets)
        inverse = self.inverse if margin.unit_weight else None
        along = self._by_length(softmax) if margin.homogeneous else None
        own = self._to_score_gradients(softmax, inverse if k == 1 else None)
        if own is not None and self.bank_gradient is not None:
            self.by_bank_cosine = own * self.bank_gradient
        scores = self.exponentials
        if class_margin is not None:
            total = nd.broadcast_to(penalty_gradient * nd.sum(grad), shape=self.class_margin.shape)
            if own is not None:
                weights = own * self.class_margin_gradient * nd.take(grad, self.samples)
                total = total + add_at(total.shape, self.columns, weights)
            write_gradient(class_margin, total)
        if bias is not None:
            write_gradient(bias, weighted_columns(scores, grad) / self.settings.scale)
        if k > 1:
            nearest = self.nearest
            for block in row_blocks(nearest):
                nearest[block] = nd.broadcast_mul(
                    nd.expand_dims(scores[block], axis=2), nearest[block]
                )
            scores = nearest.reshape((0, -1))
            if inverse is not None:
                scale_columns(scores, inverse)
        self.forget()
        array, add = weight or (None, True)
        shape = (self.weight.shape[0] // k, self.weight.shape[1] * k)
        written = nd.empty(shape, ctx=self.ctx) if add else array
        embeddings, x = x, nd.broadcast_mul(x, nd.expand_dims(grad, axis=1))
        # The centres are read before `written` is complete, and their update waits for that.
        rows = _one_center_a_row(written, k)
        grad_x = dense_gradients(scores, x, self.weight, rows)
        if radial and margin.unit_weight and weight is not None:
            subtract_radial(rows, self.weight, inverse)
        if add:
            write_gradient(weight, written)
        if along is not None:  # in place of the component along the embedding
            squares = nd.maximum(nd.sum(nd.square(embeddings), axis=1), 1e-24)
            along = (along - nd.sum(grad_x * embeddings, axis=1)) / squares
            grad_x = grad_x + nd.broadcast_mul(embeddings, nd.expand_dims(along, axis=1))
        return grad_x

    def _by_length(self, softmax):
        """Return the derivatives of the losses by the log of the embedding's length, (N,).

        Of logits that are proportional to it they are the sums of the derivatives by the logits
        times the logits, here of the classes of this chunk.
        """
        sums = []
        for block in row_blocks(self.exponentials):
            values = self.exponentials[block]
            logs = nd.log(nd.maximum(values, 1e-38))
            logs = nd.broadcast_add(logs, nd.expand_dims(self.top[block], axis=1))
            sums.append(nd.sum(values * logs, axis=1))
        total = nd.concat(*sums, dim=0) if len(sums) > 1 else sums[0]
        total = total * nd.exp(self.top - softmax.top - softmax.log_spread)
        if self.own is not None:
            kept = self.target
            if softmax.smoothing is not None:
                kept = kept * (1.0 - softmax.smoothing)
            total = total - kept
        if softmax.each is not None:
            total = total - softmax.each * self.others_sum
        return total

    def _cut(self, target):
        """Return the rows of a gradient's target that are of this chunk."""
        if target is None or self.classes is None:
            return target
        return target[0][self.classes.start : self.classes.stop], target[1]

    def _to_score_gradients(self, softmax, columns):
        """Turn the exponentials in place into the gradient by the scores, times `columns`.

        Returns
        -------
        NDArray (k,) or None
            The gradient by the samples' margined target cosines.
        """
        scale, scores = self.settings.scale, self.exponentials
        # The share of the exponentials in the softmax over all classes, times d logit / d cosine.
        factor = nd.exp(self.top - softmax.top - softmax.log_spread) * scale
        each = None if softmax.each is None else softmax.each * scale
        own = targets = None
        if self.own is not None:
            kept = scale
            if softmax.smoothing is not None:
                kept = nd.take(1.0 - softmax.smoothing, self.samples) * scale
            own = nd.gather_nd(scores, self.own) * nd.take(factor, self.samples) - kept
            targets = own * self.target_gradient
        if each is not None and self.allowed is not None:
            nd.broadcast_mul(scores, nd.expand_dims(factor, axis=1), out=scores)
            scores -= nd.broadcast_mul(self.allowed, nd.expand_dims(each, axis=1))
            factor, each = nd.ones_like(factor), None
        scale_rows_and_columns(
            scores, factor, columns, self.others_gradient, each, self.own, targets
        )
        return own


def log_of_sum(logs, ctx):
    """Return log of the sum of exp of the numbers in some arrays, (1,)."""
    if not logs:
        return nd.full((1,), NO_LOGIT, ctx=ctx)
    logs = nd.concat(*logs, dim=0) if len(logs) > 1 else logs[0]
    top = nd.max(logs).reshape((1,))
    return nd.log(nd.sum(nd.exp(logs - top)).reshape((1,))) + top


def _one_center_a_row(centers, k):
    """Return the centres (n, k D) of n classes with k centres each as (n k, D), not copied."""
    return centers if k == 1 else centers.reshape((centers.shape[0] * k, -1))


def write_gradient(target, gradient):
    """Write or add a gradient where autograd wants it, if it does."""
    if target is not None:
        array, add = target
        if add:
            nd.elemwise_add(array, gradient, out=array)
        else:
            gradient.copyto(array)
