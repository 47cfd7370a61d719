"""Blocks of ConvNeXt (Liu et al., 2022, https://arxiv.org/abs/2201.03545), which EdgeNeXt shares.

Maps are (N, C, H, W), as convolutions take them. What is between two convolutions is computed with
the channels as the last axis, see `transformer`: a transposition there and one back.
"""

from __future__ import annotations

from .._compat import mx
from .attention import means
from .chain import Chain, conv
from .transformer import MLP, drop_path, linear

__all__ = [
    "LAST",
    "SECOND",
    "ChannelNorm",
    "ConvNeXtBlock",
    "LayerScale",
    "PooledHead",
    "channel_norm",
    "downsample",
    "patches",
]

EPS = 1e-6  # of the LayerNorms
LAST, SECOND = (0, 2, 3, 1), (0, 3, 1, 2)  # where the channels of a map are to be


def channel_norm(channels: int) -> mx.gluon.nn.LayerNorm:
    """Return a LayerNorm of the last axis."""
    return mx.gluon.nn.LayerNorm(epsilon=EPS, in_channels=channels)


class ChannelNorm(mx.gluon.nn.LayerNorm):
    """LayerNorm over the channels of each pixel of a map.

    Parameters
    ----------
    channels : int
    """

    def __init__(self, channels, **kwargs):
        super().__init__(epsilon=EPS, in_channels=channels, **kwargs)

    def hybrid_forward(self, F, x, gamma, beta):
        """Return the normalised map of `x` (N, channels, H, W), same shape."""
        y = super().hybrid_forward(F, F.transpose(x, LAST), gamma, beta)
        return F.transpose(y, SECOND)


class LayerScale(mx.gluon.HybridBlock):
    """``gamma * x`` with one factor per channel, which starts at 1e-6.

    Parameters
    ----------
    channels : int
        Size of the last axis.

    References
    ----------
    Touvron et al., Going deeper with Image Transformers, https://arxiv.org/abs/2103.17239
    """

    def __init__(self, channels, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            start = mx.initializer.Constant(1e-6)
            self.gamma = self.params.get("gamma", shape=(channels,), init=start)

    def hybrid_forward(self, F, x, gamma):
        """Return `x` (..., channels) scaled."""
        return F.broadcast_mul(x, gamma)


class ConvNeXtBlock(mx.gluon.HybridBlock):
    """Depthwise convolution, LayerNorm, two linear layers of each pixel, scale; plus the input.

    Parameters
    ----------
    channels : int
    kernel : int, default 7
        Of the convolution, odd.
    drop : float, default 0
        Share of samples that skip the block in training.
    make : callable, default `linear`
        ``make(inputs, outputs)`` returns a linear layer.
    """

    def __init__(self, channels, kernel=7, drop=0, make=linear, **kwargs):
        super().__init__(**kwargs)
        self.drop = drop
        with self.name_scope():
            self.conv = conv(channels, channels, kernel, groups=channels, bias=True)
            self.norm = channel_norm(channels)
            self.mlp = MLP(channels, 4 * channels, make)
            self.scale = LayerScale(channels)

    def hybrid_forward(self, F, x):
        """Return the map of `x` (N, channels, H, W), same shape."""
        y = F.transpose(self.conv(x), LAST)
        y = F.transpose(self.scale(self.mlp(self.norm(y))), SECOND)
        return F.elemwise_add(x, drop_path(F, y, self.drop, rank=4))


def patches(inputs: int, outputs: int, size: int) -> mx.gluon.nn.Conv2D:
    """Return a convolution of patches side by side; what is left of a row or column is dropped."""
    return mx.gluon.nn.Conv2D(outputs, size, strides=size, in_channels=inputs)


def downsample(inputs: int, outputs: int) -> mx.gluon.HybridBlock:
    """Return a LayerNorm and a convolution of 2x2 patches."""
    return Chain(ChannelNorm(inputs), patches(inputs, outputs, 2))


class PooledHead(mx.gluon.HybridBlock):
    """Mean over the map, LayerNorm, linear layer.

    Parameters
    ----------
    channels : int
        Channels of the input map (N, channels, H, W).
    embedding_size : int
        Numbers of the output (N, embedding_size).
    make : callable, default `linear`
        ``make(inputs, outputs)`` returns a layer.
    """

    def __init__(self, channels, embedding_size, make=linear, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.norm = channel_norm(channels)
            self.fc = make(channels, embedding_size)

    def hybrid_forward(self, F, x):
        """Return embeddings (N, embedding_size) of `x` (N, channels, H, W)."""
        return self.fc(self.norm(F.Flatten(means(F, x))))
