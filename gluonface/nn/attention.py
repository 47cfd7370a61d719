"""Attention blocks: each scales the channels (CBAM also the pixels) of a map."""

from __future__ import annotations

import math
import typing

from .._compat import mx
from ..errors import InputError
from .backend import our_operators

__all__ = ["CBAM", "ECA", "GCT", "SE", "gate", "means"]

_GATES = ("sigmoid", "hard_sigmoid")


def gate(F: typing.Any, x: typing.Any, factors: typing.Any) -> typing.Any:
    """Return a map (N, C, H, W) times factors (N, C, 1, 1) or (N, 1, H, W)."""
    ours = our_operators(F)
    return F.broadcast_mul(x, factors) if ours is None else ours.gate(x, factors)


def means(F: typing.Any, x: typing.Any) -> typing.Any:
    """Return the means (N, C, 1, 1) over the pixels of each channel of a map (N, C, H, W)."""
    ours = our_operators(F)
    return _pool(F, x, "avg") if ours is None else ours.mean(x)


def _pool(F, x, kind):
    return F.Pooling(x, global_pool=True, pool_type=kind, kernel=(1, 1))


class SE(mx.gluon.HybridBlock):
    """Squeeze and excitation: channels scaled by two 1x1 layers of their means.

    Parameters
    ----------
    channels : int
    width : int, optional
        Width between the two layers; default ``channels // reduction``.
    reduction : int, default 16
        The paper's value.
    act : HybridBlock, optional
        Activation between the layers; default ReLU.
    gate : {"sigmoid", "hard_sigmoid"}, default "sigmoid"
        Function after the second layer; "hard_sigmoid" is ``relu6(x + 3) / 6``.
    bias : bool, default True
        Whether the layers have biases, which start at 0.
    norm : bool, default False
        Whether a BatchNorm follows the first layer.

    References
    ----------
    Hu et al., Squeeze-and-Excitation Networks, https://arxiv.org/abs/1709.01507
    """

    def __init__(
        self,
        channels,
        width=None,
        reduction=16,
        act=None,
        gate="sigmoid",
        bias=True,
        norm=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if gate not in _GATES:
            raise InputError(f"unknown gate {gate!r}; expected one of {', '.join(_GATES)}")
        self.gate = gate
        width = channels // reduction if width is None else width
        with self.name_scope():
            self.fc1 = mx.gluon.nn.Conv2D(width, 1, use_bias=bias, in_channels=channels)
            self.bn = mx.gluon.nn.BatchNorm(in_channels=width) if norm else None
            self.act = mx.gluon.nn.Activation("relu") if act is None else act
            self.fc2 = mx.gluon.nn.Conv2D(channels, 1, use_bias=bias, in_channels=width)

    def hybrid_forward(self, F, x):
        """Return `x` (N, channels, H, W) with its channels scaled, same shape."""
        return gate(F, x, self.factors(F, x))

    def factors(self, F, x):
        """Return the factors (N, channels, 1, 1), each from 0 to 1."""
        y = self.fc1(means(F, x))
        if self.bn is not None:
            y = self.bn(y)
        y = self.fc2(self.act(y))
        if self.gate == "hard_sigmoid":
            return F.hard_sigmoid(y, alpha=1 / 6, beta=0.5)
        return F.sigmoid(y)


class ECA(mx.gluon.HybridBlock):
    """Efficient channel attention: a short convolution over the channels' means.

    The kernel has ``(log2(channels) + 1) / 2`` taps, rounded down and then up to an odd number.

    Parameters
    ----------
    channels : int

    References
    ----------
    Wang et al., ECA-Net, https://arxiv.org/abs/1910.03151
    """

    def __init__(self, channels, **kwargs):
        super().__init__(**kwargs)
        taps = int((math.log2(channels) + 1) / 2) | 1
        with self.name_scope():
            self.conv = mx.gluon.nn.Conv1D(
                1,
                taps,
                padding=taps // 2,
                use_bias=False,
                in_channels=1,
                weight_initializer=mx.initializer.Xavier("uniform", "in", 1),
            )

    def hybrid_forward(self, F, x):
        """Return `x` (N, channels, H, W) with its channels scaled, same shape."""
        factors = F.sigmoid(self.conv(F.reshape(means(F, x), (0, 1, -1))))
        return gate(F, x, F.reshape(factors, (0, -1, 1, 1)))


class CBAM(mx.gluon.HybridBlock):
    """Convolutional block attention: channels by means and maxima, then pixels by the same.

    Parameters
    ----------
    channels : int
    reduction : int, default 16
        Of the two layers that means and maxima share.
    kernel : int, default 7
        Size of the convolution over the pixels.

    References
    ----------
    Woo et al., CBAM, https://arxiv.org/abs/1807.06521
    """

    def __init__(self, channels, reduction=16, kernel=7, **kwargs):
        super().__init__(**kwargs)
        width = channels // reduction
        with self.name_scope():
            self.fc1 = mx.gluon.nn.Conv2D(width, 1, activation="relu", in_channels=channels)
            self.fc2 = mx.gluon.nn.Conv2D(channels, 1, in_channels=width)
            self.conv = mx.gluon.nn.Conv2D(
                1, kernel, padding=kernel // 2, use_bias=False, in_channels=2
            )
            self.bn = mx.gluon.nn.BatchNorm(in_channels=1)

    def hybrid_forward(self, F, x):
        """Return `x` (N, channels, H, W) with channels and pixels scaled, same shape."""
        # Means and maxima as a map of two pixels: the shared layers run once.
        pooled = F.concat(means(F, x), _pool(F, x, "max"), dim=3)
        channel = F.sum(self.fc2(self.fc1(pooled)), axis=3, keepdims=True)
        x = gate(F, x, F.sigmoid(channel))
        pooled = F.concat(F.max(x, axis=1, keepdims=True), F.mean(x, axis=1, keepdims=True), dim=1)
        return gate(F, x, F.sigmoid(self.bn(self.conv(pooled))))


class GCT(mx.gluon.HybridBlock):
    """Gated channel transformation: channels compete by their L2 norms. Starts as the identity.

    ``e = alpha * norm(x)`` over the pixels, ``x * (1 + tanh(gamma * e / rms(e) + beta))``, with
    the root mean square over the channels.

    Parameters
    ----------
    channels : int
    eps : float, default 1e-5
        Added to the squares below both roots.

    References
    ----------
    Yang et al., Gated Channel Transformation, https://arxiv.org/abs/1909.11519
    """

    def __init__(self, channels, eps=1e-5, **kwargs):
        super().__init__(**kwargs)
        self.eps = eps
        with self.name_scope():
            for name, start in {"alpha": 1, "gamma": 0, "beta": 0}.items():
                init = mx.initializer.Constant(start)
                setattr(self, name, self.params.get(name, shape=(1, channels, 1, 1), init=init))

    def hybrid_forward(self, F, x, alpha, gamma, beta):
        """Return `x` (N, channels, H, W) with its channels scaled, same shape."""
        squares = F.sum(F.square(x), axis=(2, 3), keepdims=True)
        e = F.broadcast_mul(F.sqrt(squares + self.eps), alpha)
        rms = F.sqrt(F.mean(F.square(e), axis=1, keepdims=True) + self.eps)
        normed = F.broadcast_mul(F.broadcast_div(e, rms), gamma)
        return gate(F, x, 1 + F.tanh(F.broadcast_add(normed, beta)))
