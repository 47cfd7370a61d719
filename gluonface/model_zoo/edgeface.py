"""EdgeFace (George et al., 2023, https://arxiv.org/abs/2307.01838).

EdgeNeXt (Maaz et al., 2022, https://arxiv.org/abs/2206.10589) on faces, with LayerNorms throughout.
Three stages end in a block that splits the channels: convolutions of growing fields of view, then
attention between channels instead of pixels. With a rank factor, "gamma" in the names, every linear
layer is the product of two narrow ones.
"""

import functools
import math

from .. import nn
from .._compat import mx
from ._base import Backbone, cavaface_cfg, register
from ._layers import sequence

__all__ = ["CrossCovarianceAttention", "EdgeFace", "FourierPositions", "LowRankLinear"]

KERNELS = (3, 5, 7, 9)  # of the stages
PARTS = (0, 2, 3, 4)  # of the channels in the last block of each stage
SIDES = (28, 14, 7, 3)  # rows and columns of the maps
SIDE = SIDES[1]  # of the map to which positions are added
WAVES = 32  # of rows, and as many of columns
PERIOD = 10_000
SMALL, LARGE = (2, 2, 6, 2), (3, 3, 9, 3)  # blocks of the stages

# name, channels and blocks of the stages, heads, rank factor, parameters, multiply-accumulates
TABLE = (
    ("xxs", (24, 48, 88, 168), SMALL, 4, None, 1_244_744, 46_755_450),
    ("xs_gamma_06", (32, 64, 100, 192), LARGE, 4, 0.6, 1_770_492, 76_080_916),
    ("s_gamma_05", (48, 96, 160, 304), LARGE, 8, 0.5, 3_652_520, 151_924_688),
    ("base", (80, 160, 288, 584), LARGE, 8, None, 18_225_812, 696_089_254),
)


class LowRankLinear(mx.gluon.HybridBlock):
    """Two linear layers in place of one, with `rank` numbers between them.

    Parameters
    ----------
    inputs, outputs, rank : int
    """

    def __init__(self, inputs, outputs, rank, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.linear1 = nn.linear(inputs, rank, bias=False)
            self.linear2 = nn.linear(rank, outputs)
        default = mx.initializer.Xavier("uniform", "in", 1)
        self.linear1.weight.init = self.linear2.weight.init = default
        self.linear2.bias.init = mx.initializer.Uniform(rank**-0.5)

    def hybrid_forward(self, F, x):
        """Return (..., outputs) of `x` (..., inputs)."""
        return self.linear2(self.linear1(x))


def _low_rank(inputs, outputs, factor):
    return LowRankLinear(inputs, outputs, max(2, int(min(inputs, outputs) * factor)))


class FourierPositions(mx.gluon.HybridBlock):
    """Adds to each token a linear layer of sines and cosines of its row and its column.

    The pair of waves i of 16 has the period ``SIDE * 10000 ** (i / 16)``; rows and columns count
    from 1.

    Parameters
    ----------
    channels : int
        Numbers of a token.
    """

    def __init__(self, channels, **kwargs):
        super().__init__(**kwargs)
        self.channels = channels
        with self.name_scope():
            normal = mx.initializer.Normal(0.02)
            self.weight = self.params.get("weight", shape=(channels, 2 * WAVES), init=normal)
            self.bias = self.params.get("bias", shape=(channels,), init="zeros")

    def hybrid_forward(self, F, x, weight, bias):
        """Return `x` (N, SIDE * SIDE, channels) with the positions, same shape."""
        # Numbers of tokens and of waves. Both are counted along `x`: of a parameter's shape
        # arange_like knows nothing when a loaded graph's shapes are inferred (MXNet 1.9.1).
        token = F.reshape(F.contrib.arange_like(x, axis=1), (-1, 1))
        as_many = F.slice_axis(x, axis=1, begin=0, end=2 * WAVES)
        wave = F.reshape(F.contrib.arange_like(as_many, axis=1), (1, -1))
        row = F.floor(token / SIDE)
        column = token - row * SIDE
        of_columns = F.floor(wave / WAVES)  # 0 for the waves of rows, 1 for those of columns
        place = F.broadcast_add(
            F.broadcast_mul(row + 1, 1 - of_columns), F.broadcast_mul(column + 1, of_columns)
        )
        wave = wave - of_columns * WAVES
        pair = F.floor(wave / 2)
        rate = F.exp(pair * (-2 / WAVES * math.log(PERIOD))) * (2 * math.pi / (SIDE + 1e-6))
        ahead = (wave - pair * 2) * (math.pi / 2)  # a cosine is a sine a quarter of a turn ahead
        waves = F.sin(F.broadcast_add(F.broadcast_mul(place, rate), ahead))
        y = F.FullyConnected(waves, weight, bias, num_hidden=self.channels, flatten=False)
        return F.broadcast_add(x, F.expand_dims(y, 0))


class CrossCovarianceAttention(mx.gluon.HybridBlock):
    """Attention between the channels of a head, by the cosines of their rows of numbers.

    ``softmax(temperature * q k') v`` with q, k and v as (channel, token), each row of q and k
    divided by its length: a matrix of (C / heads, C / heads) whatever the number of tokens.

    Parameters
    ----------
    channels : int
        Numbers of a token, a multiple of `heads`.
    heads : int
    make : callable
        ``make(inputs, outputs)`` returns a linear layer.

    References
    ----------
    El-Nouby et al., XCiT, https://arxiv.org/abs/2106.09681
    """

    def __init__(self, channels, heads, make, **kwargs):
        super().__init__(**kwargs)
        self.channels, self.heads = channels, heads
        with self.name_scope():
            self.temperature = self.params.get("temperature", shape=(heads, 1, 1), init="ones")
            self.qkv = make(channels, 3 * channels)
            self.proj = make(channels, channels)

    def hybrid_forward(self, F, x, temperature):
        """Return (N, T, channels) of `x` (N, T, channels)."""
        qkv = F.transpose(self.qkv(x), (0, 2, 1))  # (N, 3 channels, T)
        q, k, v = F.split(qkv, num_outputs=3, axis=1)
        # (N * heads, channels / heads, T)
        q, k, v = (
            F.reshape(y, (-1, self.channels // self.heads, 0), reverse=True) for y in (q, k, v)
        )
        a = F.batch_dot(_unit_rows(F, q), _unit_rows(F, k), transpose_b=True)
        a = F.broadcast_mul(F.reshape(a, (-4, -1, self.heads, 0, 0)), F.expand_dims(temperature, 0))
        a = F.softmax(F.reshape(a, (-3, 0, 0)), axis=-1)
        y = F.reshape(F.batch_dot(a, v), (-1, self.channels, 0), reverse=True)
        return self.proj(F.transpose(y, (0, 2, 1)))


def _unit_rows(F, x):
    """Return `x` (B, C, T) with each row of T numbers divided by its length, at least 1e-12."""
    rows = F.L2Normalization(F.reshape(x, (-3, 0)), mode="instance", eps=1e-24)
    return F.reshape_like(rows, x)


class SplitBlock(mx.gluon.HybridBlock):
    """EdgeNeXt's split depthwise transpose attention encoder.

    The channels are cut into parts. The first is convolved; each other but the last is convolved
    together with the result before it. Then attention between the channels, and two linear layers
    of each pixel, are added to the block's input.

    Parameters
    ----------
    channels, parts, heads : int
    side : int
        Rows and columns of the map.
    positions : bool
        Whether the tokens get positions, on a map of 14x14.
    make : callable
        ``make(inputs, outputs)`` returns a linear layer.
    """

    def __init__(self, channels, parts, heads, side, positions, make, **kwargs):
        super().__init__(**kwargs)
        self.side = side
        width = math.ceil(channels / parts)
        self.cuts = [(i * width, min(channels, (i + 1) * width)) for i in range(parts)]
        with self.name_scope():
            self.convs = sequence()
            for _ in range(max(1, parts - 1)):
                self.convs.add(nn.conv(width, width, 3, groups=width, bias=True))
            self.positions = FourierPositions(channels) if positions else None
            self.norm_xca = nn.channel_norm(channels)
            self.xca = CrossCovarianceAttention(channels, heads, make)
            self.scale_xca = nn.LayerScale(channels)
            self.norm = nn.channel_norm(channels)
            self.mlp = nn.MLP(channels, 4 * channels, make)
            self.scale = nn.LayerScale(channels)

    def hybrid_forward(self, F, x):
        """Return the map of `x` (N, channels, H, W), same shape."""
        first, *rest = (F.slice_axis(x, axis=1, begin=a, end=b) for a, b in self.cuts)
        done = [self.convs[0](first)]
        for convolve, part in zip(self.convs[1:], rest):
            done.append(convolve(F.elemwise_add(done[-1], part)))
        y = F.concat(*done, rest[-1], dim=1)
        y = F.reshape(F.transpose(y, nn.LAST), (0, -3, 0))
        if self.positions is not None:
            y = self.positions(y)
        y = F.elemwise_add(y, self.scale_xca(self.xca(self.norm_xca(y))))
        y = F.reshape(self.scale(self.mlp(self.norm(y))), (0, -4, self.side, self.side, 0))
        return F.elemwise_add(x, F.transpose(y, nn.SECOND))


class EdgeFace(Backbone):
    """EdgeFace, with full or low-rank linear layers.

    Parameters
    ----------
    cfg : ModelCfg
    channels, blocks : sequence of four int
        Of each stage.
    heads : int
        Of attention.
    rank_factor : float, optional
        Rank of the linear layers in parts of their smaller side, that of the last in parts of its
        inputs; default full layers.
    prelu : str
        Without effect: there is no PReLU.
    """

    def __init__(self, cfg, channels, blocks, heads, rank_factor=None, prelu="fast", **kwargs):
        super().__init__(cfg, **kwargs)
        del prelu
        make = (
            nn.linear if rank_factor is None else functools.partial(_low_rank, factor=rank_factor)
        )
        inputs = channels[0]
        with self.name_scope():
            self.stem = sequence(nn.patches(3, inputs, 4), nn.ChannelNorm(inputs))
            self.stages = sequence()
            for width, count, kernel, parts, side in zip(channels, blocks, KERNELS, PARTS, SIDES):
                stage = sequence(*nn.downsample(inputs, width) if len(self.stages) else ())
                for _ in range(count - bool(parts)):
                    stage.add(nn.ConvNeXtBlock(width, kernel, make=make))
                if parts:
                    stage.add(SplitBlock(width, parts, heads, side, side == SIDE, make))
                self.stages.add(stage)
                inputs = width
            if rank_factor is not None:
                make = functools.partial(LowRankLinear, rank=int(inputs * rank_factor))
            self.head = nn.PooledHead(inputs, cfg.embedding_size, make)
        normal = mx.initializer.Normal(0.02)

        def start(block):
            weight = getattr(block, "weight", None)
            if weight is not None and weight.init is None:
                weight.init = normal

        self.apply(start)


def _register(name, channels, blocks, heads, factor, params, macs):
    width = channels[-1]
    last = width if factor is None else int(width * factor)

    @register(
        cavaface_cfg(
            f"edgeface_{name}",
            *(params, macs, "https://arxiv.org/abs/2307.01838"),
            inputs=last,
            learned=1,
            source="https://github.com/otroshi/edgeface",
        ),
        aliases=(f"edgeface-{name}".replace("_", "-"),),
    )
    def build(cfg, **kwargs):
        return EdgeFace(cfg, channels, blocks, heads, factor, **kwargs)


for _row in TABLE:
    _register(*_row)
