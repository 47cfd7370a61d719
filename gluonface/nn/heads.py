"""Heads that turn the last feature map into an embedding."""

from .._compat import mx

__all__ = ["GDC", "FlatBatchNorm"]


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

    References
    ----------
    Chen et al., MobileFaceNets, https://arxiv.org/abs/1804.07573
    """

    def __init__(self, channels, embedding_size, size=7, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.conv = mx.gluon.nn.Conv2D(
                channels, size, groups=channels, use_bias=False, in_channels=channels
            )
            self.bn1 = mx.gluon.nn.BatchNorm(in_channels=channels)
            self.fc = mx.gluon.nn.Dense(embedding_size, use_bias=False, in_units=channels)
            self.bn2 = FlatBatchNorm(in_channels=embedding_size)

    def hybrid_forward(self, F, x):
        """Return the embedding (N, embedding_size) of `x` (N, channels, size, size)."""
        return self.after_conv(self.conv(x))

    def after_conv(self, x):
        """Return the embedding, given the output of ``self.conv`` (N, channels, 1, 1).

        For networks that run the convolution together with what is before it.
        """
        return self.bn2(self.fc(self.bn1(x)))
