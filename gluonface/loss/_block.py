"""A Gluon block from cosines and labels to losses, by the margin's formula, without sharding."""

import numbers

import numpy as np

from .._compat import mx
from ..errors import InputError
from ._binary import softplus
from ._labels import host_labels

__all__ = [
    "MarginSoftmaxLoss",
    "check_filter",
    "check_smoothing",
    "log_sum",
    "state_array",
    "to_float32",
    "update_state",
]


class MarginSoftmaxLoss(mx.gluon.HybridBlock):
    """Softmax cross entropy of margined cosines, differentiated by autograd.

    Of a binary loss (`BinaryMargin`) it is the sum of the classes' terms.

    Parameters
    ----------
    margin : Margin
        From `get_loss`. Setting its `strength` or `scale` later takes effect at the next call,
        hybridized or not.
    label_smoothing : float, default 0.0
        The share in [0, 1) of the target's probability that the other classes get, evenly.
    filter_above : float, optional
        A cosine in (0, 1], 0.4 for example. Other classes whose cosine to a sample is larger are
        left out of its denominator and of label smoothing: they may be the same person again.

    Inputs
    ------
    cosine : NDArray (N, C)
        Cosines between embeddings and class centres, the largest of each class where it has
        several; inner products where a side is not normalised, and with a bias b plus b / scale.
        Computed in float32 whatever the dtype.
    label : NDArray (N,)
        The target classes.
    strength : Symbol (1,), only when called with Symbols
        Inside another hybridized block the strength has to come from outside, or it would be
        frozen when that block is traced.
    norm : NDArray (N,), for losses that use it
        The length of each embedding, computed under `autograd.record`.
    class_margin : NDArray (C,), for losses that learn it
        The margin of each class.
    bias : NDArray (1,) or (C,), for binary losses
        The one bias, or that of each class.

    Returns
    -------
    NDArray (N,) float32
        The loss of each sample. No probability is clamped, so it is exact however large.
    """

    def __init__(self, margin, label_smoothing=0.0, filter_above=None, **kwargs):
        super().__init__(**kwargs)
        if margin.uses_bank:
            raise InputError(
                f"{margin.name} keeps an embedding of each class, and MarginSoftmaxLoss sees "
                "cosines alone; use gluonface.head.PartialFC, which works in one process, too"
            )
        self.margin = margin
        self.label_smoothing = check_smoothing(label_smoothing)
        self.binary = margin.family == "binary"
        margin.refuse_smoothing(self.label_smoothing)
        self.filter_above = check_filter(filter_above, margin)
        self._traced = None
        used = (*margin.target_inputs, *margin.others_inputs)
        self._names = [
            *(["norm"] if margin.uses_norm else []),
            *(["class_margin"] if margin.has_class_margin else []),
            *(["bias"] if self.binary else []),
            *(["row_margin"] if margin.has_row_margin else []),
            *(name for name in margin.state if name in used),
        ]

    def __call__(self, cosine, label, strength=None, norm=None, class_margin=None, bias=None):
        """Return the losses; MXNet's own takes no arguments by name."""
        return super().__call__(cosine, label, strength, norm, class_margin, bias)

    def forward(self, cosine, label, strength=None, norm=None, class_margin=None, bias=None):
        """Check the labels, add the margin's strength and state, and compute the losses."""
        arrays = {"norm": norm, "class_margin": class_margin, "bias": bias}
        if isinstance(cosine, mx.nd.NDArray):
            inputs = self._inputs(cosine, label, arrays, mx.autograd.is_training())
            # Parameters other than the strength are constants of the traced graph.
            params = [getattr(self.margin, name) for name in self.margin.parameters]
            if params != self._traced:
                self._clear_cached_op()
                self._traced = params
            return super().forward(*inputs)
        if strength is None:
            raise InputError(
                "inside a hybridized block MarginSoftmaxLoss needs the margin's strength as its "
                "third input, a variable of shape (1,); as a constant it would be frozen"
            )
        if self.margin.state:
            raise InputError(
                f"{self.margin.name} learns from every batch, which a hybridized block around it "
                "cannot trace; call the loss outside of the block"
            )
        extra = [arrays[name] for name in self._names]
        return super().forward(
            mx.sym.amp_cast(cosine, dtype="float32"), label, strength, *self._given(extra)
        )

    def logits(self, cosine, label, norm=None, class_margin=None, bias=None):
        """Return the logits (N, C) after margin and scale, whose cross entropy is the loss.

        Those of classes that `filter_above` leaves out are -1e30.
        """
        arrays = {"norm": norm, "class_margin": class_margin, "bias": bias}
        inputs = self._inputs(cosine, label, arrays, update=False)
        return self._logits(mx.nd, *inputs)[0]

    def _given(self, extra):
        """Return the arrays `extra`, or raise `InputError` if one is missing."""
        wanted = {
            "norm": "the length of each embedding, (N,)",
            "class_margin": "(C,)",
            "bias": "the learned bias, (1,) or (C,)",
        }
        for name, array in zip(self._names, extra):
            if array is None:
                raise InputError(f"{self.margin.name} needs {name}={wanted[name]} as well")
        return extra

    def _inputs(self, cosine, label, arrays, update):
        """Return the inputs of `hybrid_forward`, the state updated first if `update`."""
        margin, ctx = self.margin, cosine.context
        cosine = to_float32(cosine)
        label = self._labels(cosine, label)
        margin.prepare(cosine.shape[1])
        arrays = dict(arrays)
        self._given([arrays.get(name, 0) for name in self._names])
        if update and margin.statistics:
            with mx.autograd.pause():
                update_state(margin, cosine, label, arrays["norm"])
        if margin.has_row_margin:
            arrays["row_margin"] = row_margins(margin, cosine, label)
        for name, value in margin.state.items():
            arrays[name] = state_array(value, ctx)
        strength = mx.nd.full((1,), margin.strength, ctx=ctx)
        return [cosine, label, strength, *(arrays[name] for name in self._names)]

    def hybrid_forward(self, F, cosine, label, strength, *extra):
        """Return the losses; `F` is `mxnet.nd` or `mxnet.sym`."""
        logits, mine, kept = self._logits(F, cosine, label, strength, *extra)
        if self.binary:
            return self._binary(F, logits, label, mine)
        log_p = F.log_softmax(logits, axis=1)
        own = F.pick(log_p, label, axis=1)
        if not self.label_smoothing:
            loss = -own
        else:
            if kept is None:
                count = F.cast(F.size_array(F.contrib.arange_like(cosine, axis=1)), dtype="float32")
            else:
                count = F.sum(kept, axis=1)
                log_p = F.where(kept, log_p, F.zeros_like(log_p))
            others = count - 1.0
            share = self.label_smoothing / F.maximum(others, 1.0)  # of each other class
            rest = F.sum(log_p, axis=1) - own
            loss = -(1.0 - self.label_smoothing) * own - F.broadcast_mul(rest, share)
        inputs = dict(zip(self._names, extra))
        if self.margin.penalises_norm:
            each = F.broadcast_mul(F.ones_like(own), strength)
            loss = loss + self.margin.norm_penalty(F, inputs["norm"], each)
        if self.margin.has_class_margin:
            mean = F.reshape(F.mean(inputs["class_margin"]), shape=(1,))
            loss = F.broadcast_add(loss, self.margin.class_penalty(F, mean, strength))
        return loss if self.margin.loss_factor == 1.0 else loss * self.margin.loss_factor

    def _binary(self, F, logits, label, mine):
        """Return the weighted sums of the classes' terms, (N,)."""
        own = F.pick(logits, label, axis=1)
        # Masked, not subtracted from the sum: it may be far larger than the rest.
        rest = F.where(mine, F.zeros_like(logits), softplus(F, logits))
        rest, margin = F.sum(rest, axis=1), self.margin
        return margin.positive_weight * softplus(F, -own) + margin.negative_weight * rest

    def _logits(self, F, cosine, label, strength, *extra):
        """Return the logits, 1 at the own class, 1 where a class takes part (None if all do)."""
        margin = self.margin
        own = F.pick(cosine, label, axis=1)
        ones = F.ones_like(own)
        strength = F.broadcast_mul(ones, strength)
        inputs = dict(zip(self._names, extra))
        if "class_margin" in inputs:
            inputs["class_margin"] = F.take(inputs["class_margin"], label)
        for name in margin.state:
            if name in inputs:
                inputs[name] = F.broadcast_mul(ones, inputs[name])
        target = margin.target(F, own, strength, **{k: inputs[k] for k in margin.target_inputs})
        target = target + 0.0 * strength  # MXNet warns of an input that a loss does not use
        others = cosine
        if margin.changes_others:
            columns = [strength, F.BlockGrad(own), F.BlockGrad(target)]
            columns += [inputs[name] for name in margin.others_inputs]
            columns = [F.expand_dims(column, axis=1) for column in columns]
            others = margin.others(
                F, cosine, *columns[:3], **dict(zip(margin.others_inputs, columns[3:]))
            )
        columns = F.contrib.arange_like(cosine, axis=1)
        mine = F.broadcast_equal(
            F.expand_dims(F.cast(label, dtype="float32"), axis=1), F.expand_dims(columns, axis=0)
        )
        # Selected, not added as a difference: so the logits equal those of PartialFC to the bit.
        target = F.broadcast_like(F.expand_dims(target, axis=1), others)
        logits = F.where(mine, target, others) * margin.scale
        if self.binary:
            bias = F.expand_dims(inputs["bias"] * float(margin.bias_sign), axis=0)
            logits = F.broadcast_add(logits, bias)
        if self.filter_above is None:
            return logits, mine, None
        kept = F.broadcast_logical_or(mine, F.BlockGrad(cosine) <= self.filter_above)
        return F.where(kept, logits, F.ones_like(logits) * NEVER), mine, kept

    @staticmethod
    def _labels(cosine, label):
        labels = host_labels(label, cosine.shape[1])
        if len(labels) != cosine.shape[0]:
            raise InputError(f"{len(labels)} labels for {cosine.shape[0]} rows of cosines")
        return mx.nd.array(labels, ctx=cosine.context, dtype="int32")


NEVER = -1e30  # a logit whose exponential is 0


def state_array(value, ctx):
    """Return a state's value, a number or NDArray (1,), as an NDArray (1,) on `ctx`."""
    if isinstance(value, mx.nd.NDArray):
        return value.as_in_context(ctx)
    return mx.nd.full((1,), value, ctx=ctx)


def update_state(margin, cosine, label, norm):
    """Update the margin's state by a batch whose classes are all here."""
    statistics = {}
    if "cosine" in margin.statistics:
        statistics["cosine"] = mx.nd.pick(cosine, label, axis=1)
    if "norm" in margin.statistics:
        statistics["norm"] = norm
    if "log_sum" in margin.statistics:
        own = mx.nd.one_hot(label, cosine.shape[1])
        statistics["log_sum"] = log_sum(margin.exponents(mx.nd, cosine), own)
    margin.update(mx.nd, **statistics)


def row_margins(margin, cosine, label):
    """Return the margins (N,) of a batch whose classes are all here."""
    own = None
    if "cosine" in margin.statistics:
        with mx.autograd.pause():
            own = mx.nd.pick(cosine, label, axis=1).asnumpy()
    found = margin.row_margins(cosine.shape[0], own)
    return mx.nd.array(found, ctx=cosine.context)


def log_sum(exponents, own):
    """Return log of the sum of exp over a matrix but for the places where `own` is 1, as (1,)."""
    exponents = mx.nd.where(own, mx.nd.full(own.shape, -1e30, ctx=own.context), exponents)
    top = mx.nd.max(exponents).reshape((1,))
    spread = mx.nd.sum(mx.nd.exp(mx.nd.broadcast_sub(exponents, top.reshape((1, 1)))))
    return mx.nd.log(spread.reshape((1,))) + top


def to_float32(array):
    """Return an NDArray of any float dtype as float32; autograd records the cast."""
    if array.dtype == np.float32:
        return array
    if array.dtype == np.float64:
        return array.astype("float32")
    return mx.nd.amp_cast(array, dtype="float32")  # astype has no bfloat16


def check_smoothing(value):
    """Return a label-smoothing share as float, or raise `InputError` if not in [0, 1)."""
    if not isinstance(value, (int, float)) or not 0.0 <= value < 1.0:
        raise InputError(
            f"label_smoothing={value!r} is not allowed; it must be at least 0 and below 1. "
            "0.1 is usual, 0 is off."
        )
    return float(value)


def check_filter(value, margin):
    """Return a cosine above which other classes are left out as float, or raise `InputError`."""
    if value is None:
        return None
    if not isinstance(value, numbers.Real) or isinstance(value, bool) or not 0.0 < value <= 1.0:
        raise InputError(
            f"filter_above={value!r} is not allowed; it must be in (0, 1]. 0.4 is usual, None is "
            "off."
        )
    if not (margin.unit_embedding and margin.unit_weight):
        raise InputError(
            f"filter_above is a cosine, and {margin.name} does not compute cosines; leave it out, "
            "or take a loss that does, such as normface or arcface"
        )
    return float(value)
