"""What transformers are made of: linear layers of tokens, GELU, self-attention, and their block.

Tokens are (N, T, C), T vectors of C numbers. The channels are the last axis because there MXNet's
LayerNorm is fast on CPUs: over the second axis of a map it takes many times as long as two
transpositions and the LayerNorm between them. GELU is ``LeakyReLU(act_type="gelu")``, which
oneDNN computes; composed of ``erf`` it takes many times as long. The page of the model zoo has the
figures.
"""

from __future__ import annotations

import functools
import typing

from .._compat import mx

__all__ = ["MLP", "SelfAttention", "TransformerBlock", "drop_path", "gelu", "linear"]


def linear(inputs: int, outputs: int, bias: bool = True) -> mx.gluon.nn.Dense:
    """Return a linear layer of the last axis."""
    return mx.gluon.nn.Dense(outputs, flatten=False, use_bias=bias, in_units=inputs)


def gelu(F: typing.Any, x: typing.Any) -> typing.Any:
    """Return ``x * (1 + erf(x / sqrt(2))) / 2`` (Hendrycks and Gimpel, 2016, arXiv 1606.08415)."""
    return F.LeakyReLU(x, act_type="gelu")


def drop_path(F: typing.Any, y: typing.Any, share: float, rank: int = 3) -> typing.Any:
    """Return `y`, in training 0 for a `share` of the samples and scaled up for the others.

    Parameters
    ----------
    F : module
        `mxnet.nd` or `mxnet.sym`.
    y : NDArray or Symbol
        What a block adds to its input, the samples along the first axis.
    share : float
        From 0 to below 1.
    rank : int, default 3
        The number of axes of `y`.
    """
    return F.Dropout(y, p=share, axes=tuple(range(1, rank))) if share else y


class MLP(mx.gluon.HybridBlock):
    """Linear layer, GELU or another activation, linear layer.

    Parameters
    ----------
    width, hidden : int
        Numbers of the input and the output, and between the layers.
    make : callable, default `linear`
        ``make(inputs, outputs)`` returns a layer.
    act : callable, default `gelu`
        ``act(F, x)``.
    """

    def __init__(self, width, hidden, make=linear, act=gelu, **kwargs):
        super().__init__(**kwargs)
        self.act = act
        with self.name_scope():
            self.fc1 = make(width, hidden)
            self.fc2 = make(hidden, width)

    def hybrid_forward(self, F, x):
        """Return (..., width) of `x` (..., width)."""
        return self.fc2(self.act(F, self.fc1(x)))


class SelfAttention(mx.gluon.HybridBlock):
    """Each token gets a mean of the values of all, weighted by how its query meets their keys.

    ``softmax(q k' / sqrt(width / heads)) v`` in each head, then a linear layer.

    Parameters
    ----------
    width : int
        Numbers of a token, a multiple of `heads`.
    heads : int
    bias : bool, default True
        Whether queries, keys and values have one.

    References
    ----------
    Vaswani et al., Attention Is All You Need, https://arxiv.org/abs/1706.03762, section 3.2
    """

    def __init__(self, width, heads, bias=True, **kwargs):
        super().__init__(**kwargs)
        self.heads = heads
        self.scale = (width // heads) ** -0.5
        with self.name_scope():
            self.qkv = linear(width, 3 * width, bias)
            self.proj = linear(width, width)

    def hybrid_forward(self, F, x, unseen=None):
        """Return (N, T, width) of `x` (N, T, width).

        `unseen` (N * heads, 1, T), if given, is subtracted from the products with each key.
        """

        def heads(y):
            """Return (N * heads, T, width / heads) of (N, T, width)."""
            y = F.transpose(F.reshape(y, (0, 0, self.heads, -1)), (0, 2, 1, 3))
            return F.reshape(y, (-3, 0, 0))

        q, k, v = (heads(y) for y in F.split(self.qkv(x), num_outputs=3, axis=2))
        scores = F.batch_dot(q * self.scale, k, transpose_b=True)
        if unseen is not None:
            scores = F.broadcast_sub(scores, unseen)
        y = F.batch_dot(F.softmax(scores, axis=-1), v)
        y = F.transpose(F.reshape(y, (-4, -1, self.heads, 0, 0)), (0, 2, 1, 3))
        return self.proj(F.reshape(y, (0, 0, -3)))


class TransformerBlock(mx.gluon.HybridBlock):
    """Attention, then two linear layers; both after a LayerNorm, and added to their input.

    Parameters
    ----------
    width, heads, bias
        As of `SelfAttention`.
    hidden : int
        Numbers between the two linear layers.
    drop : float, default 0
        Share of samples that skip each of both in training.
    act : callable, default `gelu`
        ``act(F, x)``, between the linear layers.
    eps : float, default 1e-6
        Of the LayerNorms.
    """

    def __init__(self, width, heads, hidden, drop=0, act=gelu, bias=True, eps=1e-6, **kwargs):
        super().__init__(**kwargs)
        self.drop, self.act = drop, act
        norm = functools.partial(mx.gluon.nn.LayerNorm, epsilon=eps, in_channels=width)
        with self.name_scope():
            self.norm1 = norm()
            self.attention = SelfAttention(width, heads, bias)
            self.norm2 = norm()
            self.fc1 = linear(width, hidden)
            self.fc2 = linear(hidden, width)

    def hybrid_forward(self, F, x, unseen=None):
        """Return (N, T, width) of `x` (N, T, width); `unseen` as of `SelfAttention`."""
        y = self.attention(self.norm1(x), unseen)
        x = F.elemwise_add(x, drop_path(F, y, self.drop))
        y = self.fc2(self.act(F, self.fc1(self.norm2(x))))
        return F.elemwise_add(x, drop_path(F, y, self.drop))
