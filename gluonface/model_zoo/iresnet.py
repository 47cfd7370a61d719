"""Improved residual networks of ArcFace (Deng et al., 2019, https://arxiv.org/abs/1801.07698).

Counts and layers are those of InsightFace's ``arcface_torch``. The starting values are not: it
draws every convolution from N(0, 0.1), with which the embeddings of a fresh network grow by
orders of magnitude with every stage, to 1e26 for 50 layers and NaN for 100 until running
statistics have been learnt. Here convolutions start as in InsightFace's MXNet trainer, normal with
variance 2 / fan_out, and running variances start at what fresh layers give, so that a fresh
network of any depth gives embeddings of size 1. Training takes no notice of the latter.
"""

from .._compat import mx
from ..nn import FCHead, PReLU, in_order
from ._base import Backbone, ModelCfg, register
from ._layers import bn, conv, sequence

__all__ = ["IResNet"]

WIDTHS = (64, 64, 128, 256, 512)  # stem and stages

# depth, units of each stage, parameters, multiply-accumulates
TABLE = (
    (18, (2, 2, 2, 2), 24_025_088, 2_609_954_816),
    (34, (3, 4, 6, 3), 34_138_816, 4_459_642_880),
    (50, (3, 4, 14, 3), 43_590_336, 6_309_330_944),
    (100, (3, 13, 30, 3), 65_155_648, 12_089_606_144),
    (200, (6, 26, 60, 6), 118_833_408, 23_418_945_536),
)


# Mean square of PReLU of standard normal numbers, with the slope 0.25 at the start.
PRELU_SQUARE = (1 + 0.25**2) / 2


def _bn(channels, variance):
    """Return a BatchNorm whose running variance starts at `variance`."""
    return bn(channels, running_variance_initializer=mx.initializer.Constant(variance))


class _Unit(mx.gluon.HybridBlock):
    """BatchNorm, 3x3, BatchNorm, PReLU, 3x3 with the stride, BatchNorm; plus the shortcut.

    `variance` is that of the input in a fresh network.
    """

    def __init__(self, inputs, outputs, stride, project, variance, form, **kwargs):
        super().__init__(**kwargs)
        # Of sums of fan_in products with weights of variance 2 / fan_out.
        gain = 2 * inputs / outputs
        with self.name_scope():
            self.bn1 = _bn(inputs, variance)
            self.conv1 = conv(inputs, outputs, 3)
            self.bn2 = _bn(outputs, gain)
            self.prelu = PReLU(outputs, form)
            self.conv2 = conv(outputs, outputs, 3, stride)
            self.bn3 = _bn(outputs, 2 * PRELU_SQUARE)
            self.shortcut = None
            if project:
                self.shortcut = sequence(
                    conv(inputs, outputs, 1, stride), _bn(outputs, gain * variance)
                )

    def hybrid_forward(self, F, x):
        body = (self.bn1, self.conv1, self.bn2, self.prelu, self.conv2, self.bn3)
        shortcut = x if self.shortcut is None else self.shortcut(x)
        return F.elemwise_add(in_order(F, x, *body), shortcut)


class IResNet(Backbone):
    """ArcFace's residual network.

    Parameters
    ----------
    cfg : ModelCfg
    units : sequence of four int
        Units of each stage; the first of each halves the map and has a projection.
    widths : sequence of five int, default (64, 64, 128, 256, 512)
        Channels of the stem and of each stage.
    dropout : float, default 0
        Before the linear layer.
    """

    def __init__(self, cfg, units, widths=WIDTHS, prelu="fast", dropout=0.0, **kwargs):
        super().__init__(cfg, **kwargs)
        with self.name_scope():
            stem, *stages = widths
            # Of 3 uniform channels from -1 to 1, the variance of each being 1 / 3.
            pixels = _bn(stem, 2 / stem)
            self.stem = sequence(conv(3, stem, 3), pixels, PReLU(stem, prelu))
            self.stages = sequence()
            width, variance = stem, PRELU_SQUARE
            for count, outputs in zip(units, stages):
                stage = sequence()
                for i in range(count):
                    stage.add(_Unit(width, outputs, 1 if i else 2, i == 0, variance, prelu))
                    width, variance = outputs, variance + 1 if i else 2
                self.stages.add(stage)
            self.head = FCHead(
                width, cfg.embedding_size, dropout=dropout, scale=False, uniform=True
            )


def _register(depth, units, params, macs):
    @register(
        ModelCfg(
            name=f"iresnet{depth}",
            embedding_size=512,
            params=params,
            macs=macs,
            params_per_dim=512 * 49 + 2,
            macs_per_dim=512 * 49,
            paper="https://arxiv.org/abs/1801.07698",
            source="https://github.com/deepinsight/insightface",
            note="arcface_torch's network with other starting values. With arcface_torch's own, "
            "N(0, 0.1), the outputs grow with depth.",
        ),
        aliases=(f"r{depth}", f"iresnet-{depth}", f"iresnet_{depth}"),
    )
    def build(cfg, **kwargs):
        return IResNet(cfg, units, **kwargs)


for _row in TABLE:
    _register(*_row)
