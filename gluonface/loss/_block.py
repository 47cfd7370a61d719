"""The plain path: a Gluon block from cosines and labels to losses, by the margin's formula."""

import numpy as np

from .._compat import mx
from ..errors import InputError
from ._labels import host_labels

__all__ = ["MarginSoftmaxLoss", "check_smoothing", "to_float32"]


class MarginSoftmaxLoss(mx.gluon.HybridBlock):
    """Softmax cross entropy of margined cosines, differentiated by autograd.

    Parameters
    ----------
    margin : Margin
        From `get_loss`. Setting its `strength` or `scale` later takes effect at the next call,
        hybridized or not.
    label_smoothing : float, default 0.0
        In [0, 1): that share of the target's probability goes to the other classes evenly.

    Inputs
    ------
    cosine : NDArray (N, C)
        Cosines between embeddings and class centres; for ``softmax`` its scores W x + b.
        Computed in float32 whatever the dtype.
    label : NDArray (N,)
        The target classes.
    strength : Symbol (1,), only when called with Symbols
        Inside another hybridized block the strength has to come from outside, or it would be
        frozen when that block is traced.

    Returns
    -------
    NDArray (N,) float32
        The loss of each sample. No probability is clamped, so it is exact however large.
    """

    def __init__(self, margin, label_smoothing=0.0, **kwargs):
        super().__init__(**kwargs)
        self.margin = margin
        self.label_smoothing = check_smoothing(label_smoothing)
        self._traced = None

    def forward(self, cosine, label, strength=None):
        """Check the labels, bring the margin's present strength, and compute the losses."""
        if isinstance(cosine, mx.nd.NDArray):
            cosine = to_float32(cosine)
            label = self._labels(cosine, label)
            strength = mx.nd.full((1,), self.margin.strength, ctx=cosine.context)
            # Parameters other than the strength are constants of the traced graph.
            params = [getattr(self.margin, name) for name in self.margin.parameters]
            if params != self._traced:
                self._clear_cached_op()
                self._traced = params
        elif strength is None:
            raise InputError(
                "inside a hybridized block MarginSoftmaxLoss needs the margin's strength as its "
                "third input, a variable of shape (1,); as a constant it would be frozen"
            )
        else:
            cosine = mx.sym.amp_cast(cosine, dtype="float32")
        return super().forward(cosine, label, strength)

    def logits(self, cosine, label):
        """Return the logits (N, C) after margin and scale, whose cross entropy is the loss."""
        cosine = to_float32(cosine)
        label = self._labels(cosine, label)
        strength = mx.nd.full((1,), self.margin.strength, ctx=cosine.context)
        return self._logits(mx.nd, cosine, label, strength)

    def hybrid_forward(self, F, cosine, label, strength):
        """Return the losses; `F` is `mxnet.nd` or `mxnet.sym`."""
        log_p = F.log_softmax(self._logits(F, cosine, label, strength), axis=1)
        own = F.pick(log_p, label, axis=1)
        if not self.label_smoothing:
            return -own
        count = F.cast(F.size_array(F.contrib.arange_like(cosine, axis=1)), dtype="float32")
        share = self.label_smoothing / F.maximum(count - 1.0, 1.0)  # of each other class
        rest = F.sum(log_p, axis=1) - own
        return -(1.0 - self.label_smoothing) * own - F.broadcast_mul(rest, share)

    def _logits(self, F, cosine, label, strength):
        own = F.pick(cosine, label, axis=1)
        strength = F.broadcast_mul(F.ones_like(own), strength)
        target = self.margin.target(F, own, strength)
        target = target + 0.0 * strength  # MXNet warns of an input that a loss does not use
        others = self.margin.others(F, cosine, own, target)
        columns = F.contrib.arange_like(cosine, axis=1)
        mine = F.broadcast_equal(
            F.expand_dims(F.cast(label, dtype="float32"), axis=1), F.expand_dims(columns, axis=0)
        )
        # Chosen, not added to a difference: the logits are then those of PartialFC to the bit.
        target = F.broadcast_like(F.expand_dims(target, axis=1), others)
        return F.where(mine, target, others) * self.margin.scale

    @staticmethod
    def _labels(cosine, label):
        labels = host_labels(label, cosine.shape[1])
        if len(labels) != cosine.shape[0]:
            raise InputError(f"{len(labels)} labels for {cosine.shape[0]} rows of cosines")
        return mx.nd.array(labels, ctx=cosine.context, dtype="int32")


def to_float32(array):
    """Return an NDArray of any float dtype as float32; autograd records the cast."""
    if array.dtype == np.float32:
        return array
    if array.dtype == np.float64:
        return array.astype("float32")
    return mx.nd.amp_cast(array, dtype="float32")  # the cast that knows bfloat16


def check_smoothing(value):
    """Return a label-smoothing share as float, or raise `InputError` if not in [0, 1)."""
    if not isinstance(value, (int, float)) or not 0.0 <= value < 1.0:
        raise InputError(
            f"label_smoothing={value!r} is not allowed; it must be at least 0 and below 1. "
            "0.1 is usual, 0 is off."
        )
    return float(value)
