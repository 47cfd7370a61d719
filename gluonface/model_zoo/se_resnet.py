"""Pre-activation residual networks with squeeze and excitation, gluon-face's "SE-ResNet v2".

He et al. (2016, https://arxiv.org/abs/1603.05027) with Hu et al. (2018): PReLU with one slope for
all channels, also after the last BatchNorm, so that embeddings are mostly positive. Depths 18 and
34 have bottlenecks too, of few channels, which makes them very small.
"""

import functools

from .._compat import mx
from ..nn import SE, PReLU, in_order, means
from ._base import Backbone, ModelCfg, register
from ._layers import bn, conv, residual_stages, sequence

__all__ = ["PooledHead", "SEResNet"]

NARROW, WIDE = (64, 128, 256, 512), (256, 512, 1024, 2048)

# depth, units and channels of each stage, parameters, multiply-accumulates
TABLE = (
    (18, (2, 2, 2, 2), NARROW, 1_227_867, 160_109_568),
    (34, (3, 4, 6, 3), NARROW, 1_901_807, 269_362_688),
    (50, (3, 4, 6, 3), WIDE, 27_072_435, 3_994_361_856),
    (101, (3, 4, 23, 3), WIDE, 48_311_351, 7_708_811_264),
    (152, (3, 8, 36, 3), WIDE, 65_806_395, 11_422_867_456),
)


class _Unit(mx.gluon.HybridBlock):
    """BatchNorm, PReLU, 1x1, the same with 3x3 and 1x1, SE; plus the shortcut.

    Where channels change the shortcut is a 1x1 convolution of the activated input.
    """

    def __init__(self, inputs, outputs, stride, form, **kwargs):
        super().__init__(**kwargs)
        width = outputs // 4
        with self.name_scope():
            self.bn1 = bn(inputs)
            self.prelu1 = PReLU(inputs, form, shared=True)
            self.conv1 = conv(inputs, width)
            self.bn2 = bn(width)
            self.prelu2 = PReLU(width, form, shared=True)
            self.conv2 = conv(width, width, 3, stride)
            self.bn3 = bn(width)
            self.prelu3 = PReLU(width, form, shared=True)
            self.conv3 = conv(width, outputs)
            self.se = SE(outputs, act=PReLU(outputs // 16, form, shared=True))
            self.project = conv(inputs, outputs, 1, stride) if inputs != outputs else None

    def hybrid_forward(self, F, x):
        active = self.prelu1(self.bn1(x))
        body = (self.conv1, self.bn2, self.prelu2, self.conv2, self.bn3, self.prelu3, self.conv3)
        y = self.se(in_order(F, active, *body))
        return F.elemwise_add(y, x if self.project is None else self.project(active))


class PooledHead(mx.gluon.HybridBlock):
    """Mean of the pixels, linear layer, BatchNorm without parameters, PReLU with one slope.

    Parameters
    ----------
    channels, embedding_size : int
    form : {"fast", "elementwise", "plain"}, default "fast"
        Of the PReLU.
    """

    def __init__(self, channels, embedding_size, form="fast", **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.fc = mx.gluon.nn.Dense(embedding_size, use_bias=False, in_units=channels)
            self.bn = bn(embedding_size, scale=False, center=False)
            self.prelu = PReLU(embedding_size, form, shared=True)

    def hybrid_forward(self, F, x):
        """Return the embedding (N, embedding_size) of `x` (N, channels, H, W)."""
        x = means(F, x)
        # As a map of one pixel: MXNet's BatchNorm of flat features can crash, see FlatBatchNorm.
        x = F.reshape(self.fc(x), (0, 0, 1, 1))
        return F.Flatten(self.prelu(self.bn(x)))


class SEResNet(Backbone):
    """SE-ResNet v2.

    Parameters
    ----------
    cfg : ModelCfg
    units, widths : sequence of four int
        Units and channels of each stage.
    """

    def __init__(self, cfg, units, widths, prelu="fast", **kwargs):
        super().__init__(cfg, **kwargs)
        with self.name_scope():
            self.stem = sequence(
                *(bn(3, scale=False, center=False), conv(3, 64, 3)),
                *(bn(64), PReLU(64, prelu, shared=True), mx.gluon.nn.MaxPool2D(3, 2, 1)),
            )
            unit = functools.partial(_Unit, form=prelu)
            self.stages = residual_stages(unit, 64, units, widths)
            self.head = sequence(
                *(bn(widths[-1]), PReLU(widths[-1], prelu, shared=True)),
                PooledHead(widths[-1], cfg.embedding_size, prelu),
            )


def _register(depth, units, widths, params, macs):
    @register(
        ModelCfg(
            name=f"se_resnet{depth}_v2",
            embedding_size=512,
            params=params,
            macs=macs,
            params_per_dim=widths[-1],
            macs_per_dim=widths[-1],
            paper="https://arxiv.org/abs/1709.01507",
            source="https://github.com/THUFutureLab/gluon-face",
            note="The last layer is a PReLU.",
        ),
        aliases=(f"se_resnet{depth}", f"se_resnet_{depth}", f"se-resnet-{depth}"),
    )
    def build(cfg, **kwargs):
        return SEResNet(cfg, units, widths, **kwargs)


for _row in TABLE:
    _register(*_row)
