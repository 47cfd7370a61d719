"""The template of losses that ask of every class alone whether a sample is of it."""

from __future__ import annotations

import typing

from ..errors import InputError
from ._margin import Margin

__all__ = ["BinaryMargin", "softplus"]


class BinaryMargin(Margin):
    r"""Template of binary losses: a sum of independent terms, one for each class.

    .. math:: L_i = w_p\, \mathrm{sp}(-z_{iy}) + w_n \sum_{j \ne y} k_j\, \mathrm{sp}(z_{ij}),
              \quad \mathrm{sp}(z) = \log(1 + e^z)

    of logits :math:`z_{iy} = s f(c_{iy}) \pm b` and :math:`z_{ij} = s g(c_{ij}) \pm b`. The bias b
    is learned: one number, or one for each class. It is the threshold of the training set.
    :math:`k_j` is 1, or what makes the sum over sampled classes right on average.

    No sum over classes is in a logarithm, so a process needs its own classes only, and logits are
    computed and forgotten a few classes at a time. A loss overrides `own` and `rest`, which give
    values with slopes: the gradient is written by hand.

    Attributes
    ----------
    bias_sign : int
        What the bias is multiplied by in a logit.
    has_shared_bias : bool
        Whether the bias is one number. Else it is one for each class, as `has_bias` says.
    """

    family = "binary"
    bias_sign: int = 1
    has_shared_bias: bool = True
    plain_at_0 = False

    @property
    def changes_others(self) -> bool:
        """Whether the logits of the other classes are more than scaled cosines and the bias."""
        return type(self).rest is not BinaryMargin.rest

    @property
    def positive_weight(self) -> float:
        """The factor w_p of the own class's term."""
        return 1.0

    @property
    def negative_weight(self) -> float:
        """The factor w_n of the other classes' terms."""
        return 1.0

    def initial_bias(self, num_classes: int, share: float = 1.0) -> float:
        """Return the bias before training.

        Parameters
        ----------
        num_classes : int
            C, of all ranks.
        share : float, default 1.0
            Of the classes whose terms are in a sample's sum: the sample rate, if sampled terms are
            not weighed up.
        """
        raise NotImplementedError

    def own(self, F: typing.Any, cosine: typing.Any, strength: typing.Any) -> tuple:
        """Return f of the own classes' cosines, and what stands for its slope in the gradient.

        Parameters
        ----------
        F : module
            `numpy`, `mxnet.nd` or `mxnet.sym`.
        cosine : array or Symbol (N,)
            Without gradient. May leave [-1, 1] by rounding.
        strength : float, array or Symbol (N,)
            What to multiply the margins by.

        Returns
        -------
        value : array or Symbol (N,)
        slope : array or Symbol (N,), or None for 1
        """
        raise NotImplementedError

    def rest(self, F: typing.Any, cosine: typing.Any, strength: typing.Any) -> tuple:
        """Return g of the other classes' cosines, of any shape, and its slope; see `own`."""
        return cosine, None

    def target(self, F, cosine, strength, **inputs):
        """Return f with its gradient; see `Margin.target`."""
        return _with_slope(F, cosine, *self.own(F, F.BlockGrad(cosine), strength))

    def others(self, F, cosine, strength, target_cosine, target, **inputs):
        """Return g with its gradient; see `Margin.others`."""
        if not self.changes_others:
            return cosine
        return _with_slope(F, cosine, *self.rest(F, F.BlockGrad(cosine), strength))

    def refuse_smoothing(self, label_smoothing: float) -> None:
        """Raise InputError unless the label smoothing is 0."""
        if label_smoothing:
            raise InputError(
                f"label_smoothing={label_smoothing:g} is not allowed with {self.name}: it moves "
                "probability of a softmax over the classes, and a binary loss has none; use 0"
            )


def softplus(F, values):
    """Return log(1 + exp(values)). MXNet's own switches to another formula above 20."""
    return F.relu(values) + F.log1p(F.exp(-F.abs(values)))


def _with_slope(F, cosine, value, slope):
    """Return `value`, with `slope` (None is 1) as its derivative by the cosine."""
    step = cosine - F.BlockGrad(cosine)  # exactly 0
    if slope is None:
        return value + step
    return value + slope * step
