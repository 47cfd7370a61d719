"""Heads that turn the last feature map into an embedding."""

from __future__ import annotations

from .._compat import mx
from .chain import ConvBN, Layers

__all__ = ["GDC", "FCHead", "FlatBatchNorm", "MobileHead"]


class FlatBatchNorm(mx.gluon.nn.BatchNorm):
    """BatchNorm of flat features (N, C), computed on maps (N, C, 1, 1).

    MXNet 1.9.1's oneDNN BatchNorm crashes in inference when a flat (N, C) input follows a
    (N, C, 1, 1) one of the same sizes anywhere in the process.
    """

    def hybrid_forward(self, F, x, gamma, beta, running_mean, running_var):
        """Return normalised `x` (N, C), same shape."""
        maps = F.reshape(x, (0, 0, 1, 1))
        return F.Flatten(super().hybrid_forward(F, maps, gamma, beta, running_mean, running_var))


class GDC(Layers):
    """Global depthwise convolution, linear layer and BatchNorm: the head of MobileFaceNet.

    Parameters
    ----------
    channels : int
        Channels of the input map (N, channels, size, size).
    embedding_size : int
        Numbers of the output (N, embedding_size).
    size : int, default 7
        Height and width of the input map.
    scale, center : bool, default True
        Whether the last BatchNorm learns its gamma and its beta; else they stay at 1 and 0.

    References
    ----------
    Chen et al., MobileFaceNets, https://arxiv.org/abs/1804.07573
    """

    def __init__(
        self,
        channels: int,
        embedding_size: int,
        size: int = 7,
        scale: bool = True,
        center: bool = True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        with self.name_scope():
            self.conv = mx.gluon.nn.Conv2D(
                channels, size, groups=channels, use_bias=False, in_channels=channels
            )
            self.bn1 = mx.gluon.nn.BatchNorm(in_channels=channels)
            self.fc = mx.gluon.nn.Dense(embedding_size, use_bias=False, in_units=channels)
            self.bn2 = FlatBatchNorm(scale=scale, center=center, in_channels=embedding_size)


class MobileHead(Layers):
    """1x1 convolution with BatchNorm and activation, then `GDC`.

    Parameters
    ----------
    inputs, width : int
        Channels of the input map, and of the map that GDC takes.
    embedding_size : int
    act : HybridBlock
    eps : float, default 1e-5
        Of the first BatchNorm.
    **gdc
        Other arguments of `GDC`.
    """

    def __init__(
        self,
        inputs: int,
        width: int,
        embedding_size: int,
        act: mx.gluon.Block,
        eps: float = 1e-5,
        **gdc,
    ):
        super().__init__()
        with self.name_scope():
            self.final = ConvBN(inputs, width, act=act, eps=eps)
            self.gdc = GDC(width, embedding_size, **gdc)


class FCHead(Layers):
    """BatchNorm, dropout, linear layer of the whole map with a bias, and BatchNorm.

    Parameters
    ----------
    channels, embedding_size, size, scale, center
        As of `GDC`. ArcFace's "E" output and the IR networks learn the last beta, but no gamma.
    dropout : float, default 0.4
        Share of the map that training leaves out.
    uniform : bool, default False
        Whether weight and bias of the linear layer start uniform, of variance 1 / (3 inputs), as
        in PyTorch; else as the network's initialiser says and at 0.

    References
    ----------
    Deng et al., ArcFace, https://arxiv.org/abs/1801.07698, section 3.1
    """

    def __init__(
        self,
        channels: int,
        embedding_size: int,
        size: int = 7,
        dropout: float = 0.4,
        scale: bool = True,
        center: bool = True,
        uniform: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        inputs = channels * size * size
        starts = {
            "weight_initializer": mx.initializer.Xavier("uniform", "in", 1),
            "bias_initializer": mx.initializer.Uniform(inputs**-0.5),
        }
        with self.name_scope():
            self.bn1 = mx.gluon.nn.BatchNorm(in_channels=channels)
            self.dropout = mx.gluon.nn.Dropout(dropout)
            self.fc = mx.gluon.nn.Dense(
                embedding_size, in_units=inputs, **(starts if uniform else {})
            )
            self.bn2 = FlatBatchNorm(scale=scale, center=center, in_channels=embedding_size)
