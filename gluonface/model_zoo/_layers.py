"""Layers as the residual families write them."""

from .._compat import mx
from ..nn import Conv2D

__all__ = ["bn", "conv", "sequence"]


def conv(inputs, outputs, kernel=1, stride=1, groups=1, bias=False, init=None):
    """Return a convolution that keeps the size of a map but for the stride."""
    return Conv2D(
        outputs,
        kernel,
        strides=stride,
        padding=kernel // 2,
        groups=groups,
        use_bias=bias,
        in_channels=inputs,
        weight_initializer=init,
    )


def bn(channels, **kwargs):
    """Return a BatchNorm of a map."""
    return mx.gluon.nn.BatchNorm(in_channels=channels, **kwargs)


def sequence(*blocks):
    """Return blocks as one, called one after another."""
    result = mx.gluon.nn.HybridSequential()
    result.add(*blocks)
    return result
