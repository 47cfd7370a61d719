"""Blocks that are applied in order, with BatchNorm and PReLU computed along with a convolution."""

from __future__ import annotations

import typing

from .._compat import mx
from .activations import PReLU, bn_prelu_conv
from .backend import gradient_in_blocks, in_blocks

__all__ = ["Chain", "Conv2D", "ConvBN", "Layers", "conv", "in_order"]


def in_order(F: typing.Any, x: typing.Any, *blocks: mx.gluon.Block) -> typing.Any:
    """Return the output of blocks that are applied one after another.

    A BatchNorm and a PReLU between two convolutions are computed by `bn_prelu_conv`, also where
    the four belong to different `Layers`. The output is that of calling one block after another.

    Parameters
    ----------
    F : module
        `mxnet.nd` or `mxnet.sym`.
    x : NDArray or Symbol
    *blocks : HybridBlock
    """
    layers = [layer for block in blocks for layer in _flat(block)]
    conv = None  # the convolution whose output `x` is
    while layers:
        # Only after a convolution: elsewhere the operators of `bn_prelu_conv` get wrong gradients
        # in MXNet 1.9.1.
        if conv is not None and _are_bn_prelu_conv(*layers[:3]):
            bn, prelu, following = layers[:3]
            x = bn_prelu_conv(F, x, bn, prelu, following, conv)
            conv = following
            del layers[:3]
        else:
            layer = layers.pop(0)
            x = layer(x)
            conv = layer if isinstance(layer, mx.gluon.nn.Conv2D) else None
    return x


def _flat(block):
    """Return the blocks that `block` applies in order, or itself alone."""
    if not isinstance(block, Layers) or block.residual:
        return [block]
    return [layer for child in block._children.values() for layer in _flat(child)]


def _are_bn_prelu_conv(*layers):
    kinds = (mx.gluon.nn.BatchNorm, PReLU, mx.gluon.nn.Conv2D)
    return len(layers) == 3 and all(map(isinstance, layers, kinds))


class Layers(mx.gluon.HybridBlock):
    """Template: a block whose children are applied in the order in which they are set.

    Attributes
    ----------
    residual : bool
        Whether the input is added to the output.
    """

    residual = False

    def hybrid_forward(self, F, x):
        """Return the output of the last child, plus `x` if `residual`."""
        y = in_order(F, x, *self._children.values())
        return F.elemwise_add(y, x) if self.residual else y


class Chain(Layers, mx.gluon.nn.HybridSequential):
    """Blocks that are applied one after another, see `in_order`.

    Parameters
    ----------
    *blocks : HybridBlock
    residual : bool, default False
        Whether the input is added to the output.
    """

    def __init__(self, *blocks: mx.gluon.Block, residual: bool = False, **kwargs):
        super().__init__(**kwargs)
        self.residual = residual
        self.add(*blocks)


class Conv2D(mx.gluon.nn.Conv2D):
    """A convolution beside which BatchNorms are fast.

    oneDNN may give the output of a convolution in groups, and its input's gradient, in blocks of 4
    or 8 channels, for which its BatchNorm, not vectorised then, takes up to 200 times as long.
    """

    def hybrid_forward(self, F, x, *args, **kwargs):
        """Return the map (N, channels, H', W') of `x` (N, in_channels, H, W)."""
        if not 1 < self._kwargs["num_group"] < self._channels:
            return super().hybrid_forward(F, x, *args, **kwargs)
        x = gradient_in_blocks(F, x)
        return in_blocks(F, super().hybrid_forward(F, x, *args, **kwargs))


def conv(
    inputs: int,
    outputs: int,
    kernel: int = 1,
    stride: int = 1,
    groups: int = 1,
    bias: bool = False,
    init: typing.Any = None,
) -> Conv2D:
    """Return a convolution that keeps the size of a map but for the stride.

    Parameters
    ----------
    inputs, outputs : int
        Channels.
    kernel, stride, groups : int, default 1
    bias : bool, default False
    init : mxnet.initializer.Initializer, optional
        Of the weight; default that of the network.
    """
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


class ConvBN(Layers):
    """Convolution without bias, BatchNorm and, if one is given, an activation.

    Parameters
    ----------
    inputs, outputs : int
        Channels.
    kernel, stride : int
    groups : int, default 1
        Of the convolution; ``inputs`` makes it depthwise.
    act : HybridBlock, optional
        Without one the block is linear.
    eps : float, default 1e-5
        Of the BatchNorm.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        act: mx.gluon.Block | None = None,
        eps: float = 1e-5,
        **kwargs,
    ):
        super().__init__(**kwargs)
        with self.name_scope():
            self.conv = conv(inputs, outputs, kernel, stride, groups)
            self.bn = mx.gluon.nn.BatchNorm(epsilon=eps, in_channels=outputs)
            self.act = act
