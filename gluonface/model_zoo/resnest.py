"""ResNeSt (Zhang et al., 2020, https://arxiv.org/abs/2004.08955): split attention, radix 2.

As cavaface has them for faces: a deep stem without pooling, so that the first stage has 56x56
pixels, and PReLU; both of a unit's PReLUs share one slope.
"""

import functools

from .._compat import mx
from ..nn import FCHead, PReLU, gate, means
from ._base import Backbone, cavaface_cfg, register
from ._layers import bn, conv, residual_stages, sequence

__all__ = ["ResNeSt"]

OUTPUTS = (256, 512, 1024, 2048)

# depth, width of the stem, units of each stage, parameters, multiply-accumulates
TABLE = (
    (50, 32, (3, 4, 6, 3), 76_819_216, 5_152_251_904),
    (101, 64, (3, 4, 23, 3), 97_611_137, 9_193_191_424),
)


class _SplitAttention(mx.gluon.HybridBlock):
    """3x3 into two maps, and their sum with a weight per channel that depends on the mean pixel."""

    def __init__(self, channels, **kwargs):
        super().__init__(**kwargs)
        width = max(channels // 2, 32)

        def linear(inputs, outputs):
            return mx.gluon.nn.Conv2D(
                outputs,
                1,
                in_channels=inputs,
                bias_initializer=mx.initializer.Uniform(inputs**-0.5),
            )

        with self.name_scope():
            self.conv = conv(channels, 2 * channels, 3, groups=2)
            self.bn1 = bn(2 * channels)
            self.fc1 = linear(channels, width)
            self.bn2 = bn(width)
            self.fc2 = linear(width, 2 * channels)

    def hybrid_forward(self, F, x):
        """Return the map of `x` (N, channels, H, W), same shape."""
        first, second = F.split(F.relu(self.bn1(self.conv(x))), num_outputs=2, axis=1)
        total = F.elemwise_add(first, second)
        logits = self.fc2(F.relu(self.bn2(self.fc1(means(F, total)))))
        one, two = F.split(logits, num_outputs=2, axis=1)
        weight = F.sigmoid(F.elemwise_sub(one, two))  # a softmax over two
        return F.broadcast_add(gate(F, first, weight), gate(F, second, 1 - weight))


class _Unit(mx.gluon.HybridBlock):
    """1x1, split attention, 1x1, with BatchNorms and PReLUs of one slope; plus the shortcut."""

    def __init__(self, inputs, outputs, stride, form, **kwargs):
        super().__init__(**kwargs)
        width = outputs // 4
        self.stride = stride
        with self.name_scope():
            self.conv1 = conv(inputs, width)
            self.bn1 = bn(width)
            self.prelu1 = PReLU(width, form, shared=True)
            self.prelu2 = PReLU(outputs, form, shared=True, params=self.prelu1.params)
            self.split = _SplitAttention(width)
            self.conv2 = conv(width, outputs)
            self.bn2 = bn(outputs)
            self.shortcut = None
            if inputs != outputs:
                pool = [mx.gluon.nn.AvgPool2D(stride, stride)] if stride > 1 else []
                self.shortcut = sequence(*pool, conv(inputs, outputs), bn(outputs))

    def hybrid_forward(self, F, x):
        # Not bn_prelu_conv: run eagerly, MXNet 1.9.1 may fail to reorder a grouped weight that was
        # used in inference before.
        y = self.split(self.prelu1(self.bn1(self.conv1(x))))
        if self.stride > 1:
            y = F.Pooling(y, kernel=(3, 3), stride=(self.stride,) * 2, pad=(1, 1), pool_type="avg")
        y = self.bn2(self.conv2(y))
        return self.prelu2(F.elemwise_add(y, x if self.shortcut is None else self.shortcut(x)))


class ResNeSt(Backbone):
    """ResNeSt.

    Parameters
    ----------
    cfg : ModelCfg
    stem : int
        Channels of the stem's first two convolutions; the third has twice as many.
    units : sequence of four int
        Units of each stage; the first of each but the first stage halves the map.
    """

    def __init__(self, cfg, stem, units, prelu="fast", **kwargs):
        super().__init__(cfg, **kwargs)
        with self.name_scope():
            self.stem = sequence(
                *(conv(3, stem, 3, 2), bn(stem), PReLU(stem, prelu)),
                *(conv(stem, stem, 3), bn(stem), PReLU(stem, prelu)),
                *(conv(stem, 2 * stem, 3), bn(2 * stem), PReLU(2 * stem, prelu)),
            )
            unit = functools.partial(_Unit, form=prelu)
            self.stages = residual_stages(unit, 2 * stem, units, OUTPUTS)
            self.head = FCHead(OUTPUTS[-1], cfg.embedding_size, scale=False, center=False)


def _register(depth, stem, units, params, macs):
    @register(
        cavaface_cfg(
            f"resnest{depth}",
            params,
            macs,
            "https://arxiv.org/abs/2004.08955",
            inputs=2048 * 49,
            learned=1,
        ),
        aliases=(f"resnest-{depth}", f"resnest_{depth}"),
    )
    def build(cfg, **kwargs):
        return ResNeSt(cfg, stem, units, **kwargs)


for _row in TABLE:
    _register(*_row)
