"""Convolutions in a row, the matter of mobile networks, computed the fast way."""

from .._compat import mx
from .activations import PReLU, bn_prelu_conv
from .backend import gradient_in_blocks, in_blocks
from .heads import GDC

__all__ = ["Chain", "Conv2D", "ConvBN", "MobileHead"]


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


class ConvBN(mx.gluon.HybridBlock):
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
    padding : int, optional
        Default ``kernel // 2``.
    eps : float, default 1e-5
        Of the BatchNorm.
    """

    def __init__(
        self,
        inputs,
        outputs,
        kernel=1,
        stride=1,
        groups=1,
        act=None,
        padding=None,
        eps=1e-5,
        **kwargs,
    ):
        super().__init__(**kwargs)
        with self.name_scope():
            self.conv = Conv2D(
                outputs,
                kernel,
                strides=stride,
                padding=kernel // 2 if padding is None else padding,
                groups=groups,
                use_bias=False,
                in_channels=inputs,
            )
            self.bn = mx.gluon.nn.BatchNorm(epsilon=eps, in_channels=outputs)
            self.act = act

    def hybrid_forward(self, F, x):
        """Return the activated map (N, outputs, H', W') of `x` (N, inputs, H, W)."""
        return self.after_conv(self.conv(x))

    def after_conv(self, x):
        """Return what follows the convolution, given its output."""
        x = self.bn(x)
        return x if self.act is None else self.act(x)


class Chain(mx.gluon.nn.HybridSequential):
    """Blocks in a row; a PReLU between two `ConvBN` is computed by `bn_prelu_conv`.

    Parameters
    ----------
    *blocks : HybridBlock
        The first is a `ConvBN`.
    residual : bool, default False
        Whether the input is added to the output.
    """

    def __init__(self, *blocks, residual=False, **kwargs):
        super().__init__(**kwargs)
        self.residual = residual
        self.add(*blocks)

    def hybrid_forward(self, F, x):
        """Return the output of the last block, plus `x` in a residual chain."""
        first, *blocks = self._children.values()
        y, before = first.conv(x), first
        for block in blocks:
            if not isinstance(block, ConvBN):
                y = block(_finished(y, before))
            elif isinstance(before, ConvBN) and isinstance(before.act, PReLU):
                y = bn_prelu_conv(F, y, before.bn, before.act, block.conv, before.conv)
            else:
                y = block.conv(_finished(y, before))
            before = block
        y = _finished(y, before)
        return F.elemwise_add(y, x) if self.residual else y


def _finished(y, block):
    """Return the output of `block`, given `y`: a `ConvBN` has only been convolved as yet."""
    return block.after_conv(y) if isinstance(block, ConvBN) else y


class MobileHead(mx.gluon.HybridBlock):
    """1x1 convolution with BatchNorm and activation, then `GDC`.

    Parameters
    ----------
    inputs, width : int
        Channels of the input map, and of the map that GDC sees.
    embedding_size : int
    act : HybridBlock
    size : int, default 7
        Height and width of the map.
    eps : float, default 1e-5
        Of the first BatchNorm.
    scale, center : bool, default True
        Whether the last BatchNorm learns its gamma and its beta.
    """

    def __init__(
        self,
        inputs,
        width,
        embedding_size,
        act,
        size=7,
        eps=1e-5,
        scale=True,
        center=True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        with self.name_scope():
            self.final = ConvBN(inputs, width, act=act, eps=eps)
            self.gdc = GDC(width, embedding_size, size, scale, center)

    def hybrid_forward(self, F, x):
        """Return the embedding (N, embedding_size) of `x` (N, inputs, size, size)."""
        final, gdc = self.final, self.gdc
        x = final.conv(x)
        if isinstance(final.act, PReLU):
            x = bn_prelu_conv(F, x, final.bn, final.act, gdc.conv, final.conv)
            return gdc.after_conv(x)
        return gdc(final.after_conv(x))
