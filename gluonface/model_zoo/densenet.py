"""Densely connected networks (Huang et al., 2017, https://arxiv.org/abs/1608.06993).

As cavaface has them for faces: a 3x3 stem without pooling, PReLU, and no dropout in the units.
"""

from .._compat import mx
from ..nn import FCHead, PReLU, in_order
from ._base import Backbone, cavaface_cfg, register
from ._layers import bn, conv, sequence

__all__ = ["DenseNet"]

# depth, stem's width, growth, units of each stage, parameters, multiply-accumulates
TABLE = (
    (121, 64, 32, (6, 12, 24, 16), 32_677_600, 2_746_232_832),
    (161, 96, 48, (6, 12, 36, 24), 81_963_056, 7_612_200_960),
    (169, 64, 32, (6, 12, 32, 32), 54_301_280, 3_287_330_816),
    (201, 64, 32, (6, 12, 48, 32), 66_367_328, 4_225_019_904),
)


def _he():
    """Return the starting values of convolutions: uniform with variance 2 / fan_in."""
    return mx.initializer.Xavier("uniform", "in", 6)


class _Unit(mx.gluon.HybridBlock):
    """Adds `growth` channels to its input: BatchNorm, PReLU, 1x1, BatchNorm, PReLU, 3x3."""

    def __init__(self, inputs, growth, form, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.bn1 = bn(inputs)
            self.prelu1 = PReLU(inputs, form)
            self.conv1 = conv(inputs, 4 * growth, init=_he())
            self.bn2 = bn(4 * growth)
            self.prelu2 = PReLU(4 * growth, form)
            self.conv2 = conv(4 * growth, growth, 3, init=_he())

    def hybrid_forward(self, F, x):
        return F.concat(x, in_order(F, x, *self._children.values()), dim=1)


class _Transition(mx.gluon.HybridBlock):
    """Halves channels and map: BatchNorm, PReLU, 1x1, mean of 2x2 pixels."""

    def __init__(self, inputs, form, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.bn = bn(inputs)
            self.prelu = PReLU(inputs, form)
            self.conv = conv(inputs, inputs // 2, init=_he())

    def hybrid_forward(self, F, x):
        y = self.conv(self.prelu(self.bn(x)))
        return F.Pooling(y, kernel=(2, 2), stride=(2, 2), pool_type="avg")


class DenseNet(Backbone):
    """DenseNet.

    Parameters
    ----------
    cfg : ModelCfg
    width : int
        Channels of the stem.
    growth : int
        Channels that each unit adds.
    units : sequence of four int
        Units of each stage.
    """

    def __init__(self, cfg, width, growth, units, prelu="fast", **kwargs):
        super().__init__(cfg, **kwargs)
        with self.name_scope():
            self.stem = sequence(conv(3, width, 3, 2, init=_he()), bn(width), PReLU(width, prelu))
            self.stages = sequence()
            for i, count in enumerate(units):
                stage = sequence()
                if i:
                    stage.add(_Transition(width, prelu))
                    width //= 2
                for _ in range(count):
                    stage.add(_Unit(width, growth, prelu))
                    width += growth
                self.stages.add(stage)
            self.head = FCHead(width, cfg.embedding_size, scale=False, center=False, uniform=True)


def _register(depth, width, growth, units, params, macs):
    channels = width
    for i, count in enumerate(units):
        channels = (channels // 2 if i else channels) + count * growth

    @register(
        cavaface_cfg(
            f"densenet{depth}",
            params,
            macs,
            "https://arxiv.org/abs/1608.06993",
            inputs=channels * 49,
            learned=1,
        ),
        aliases=(f"densenet-{depth}", f"densenet_{depth}"),
    )
    def build(cfg, **kwargs):
        return DenseNet(cfg, width, growth, units, **kwargs)


for _row in TABLE:
    _register(*_row)
