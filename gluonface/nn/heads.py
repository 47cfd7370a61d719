"""Heads that turn the last feature map into an embedding."""

from .._compat import mx

__all__ = ["GDC", "FCHead", "FlatBatchNorm"]


class FlatBatchNorm(mx.gluon.nn.BatchNorm):
    """BatchNorm of flat features (N, C), computed on a 4-D view of them.

    The view is there because MXNet 1.9.1's oneDNN BatchNorm crashes in inference when a flat
    (N, C) input follows a (N, C, 1, 1) one of the same sizes anywhere in the process.
    """

    def hybrid_forward(self, F, x, gamma, beta, running_mean, running_var):
        """Return normalised `x` (N, C), same shape."""
        view = F.reshape(x, (0, 0, 1, 1))
        return F.Flatten(super().hybrid_forward(F, view, gamma, beta, running_mean, running_var))


class GDC(mx.gluon.HybridBlock):
    """Global depthwise convolution, linear layer and BatchNorm: the head of MobileFaceNet.

    Parameters
    ----------
    channels : int
        Channels of the input map.
    embedding_size : int
    size : int, default 7
        Height and width of the input map.
    scale, center : bool, default True
        Whether the last BatchNorm learns its gamma and its beta; else they stay at 1 and 0.

    References
    ----------
    Chen et al., MobileFaceNets, https://arxiv.org/abs/1804.07573
    """

    def __init__(self, channels, embedding_size, size=7, scale=True, center=True, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.conv = mx.gluon.nn.Conv2D(
                channels, size, groups=channels, use_bias=False, in_channels=channels
            )
            self.bn1 = mx.gluon.nn.BatchNorm(in_channels=channels)
            self.fc = mx.gluon.nn.Dense(embedding_size, use_bias=False, in_units=channels)
            self.bn2 = FlatBatchNorm(scale=scale, center=center, in_channels=embedding_size)

    def hybrid_forward(self, F, x):
        """Return the embedding (N, embedding_size) of `x` (N, channels, size, size)."""
        return self.after_conv(self.conv(x))

    def after_conv(self, x):
        """Return the embedding, given the output of ``self.conv`` (N, channels, 1, 1).

        For networks that run the convolution together with what is before it.
        """
        return self.bn2(self.fc(self.bn1(x)))


class FCHead(mx.gluon.HybridBlock):
    """BatchNorm, dropout, linear layer of the whole map with a bias, and BatchNorm.

    Parameters
    ----------
    channels : int
        Channels of the input map.
    embedding_size : int
    size : int, default 7
        Height and width of the input map.
    dropout : float, default 0.4
        Share of the map that training leaves out.
    scale, center : bool, default True
        Whether the last BatchNorm learns its gamma and its beta; else they stay at 1 and 0.
        ArcFace's "E" output and the IR networks learn the beta alone.
    weight_initializer, bias_initializer : mxnet.initializer.Initializer or str, optional
        Of the linear layer; default the network's initialiser and zeros.

    References
    ----------
    Deng et al., ArcFace, https://arxiv.org/abs/1801.07698, section 3.1
    """

    def __init__(
        self,
        channels,
        embedding_size,
        size=7,
        dropout=0.4,
        scale=True,
        center=True,
        weight_initializer=None,
        bias_initializer="zeros",
        **kwargs,
    ):
        super().__init__(**kwargs)
        with self.name_scope():
            self.bn1 = mx.gluon.nn.BatchNorm(in_channels=channels)
            self.dropout = mx.gluon.nn.Dropout(dropout)
            self.fc = mx.gluon.nn.Dense(
                embedding_size,
                in_units=channels * size * size,
                weight_initializer=weight_initializer,
                bias_initializer=bias_initializer,
            )
            self.bn2 = FlatBatchNorm(scale=scale, center=center, in_channels=embedding_size)

    def hybrid_forward(self, F, x):
        """Return the embedding (N, embedding_size) of `x` (N, channels, size, size)."""
        return self.bn2(self.fc(self.dropout(self.bn1(x))))
