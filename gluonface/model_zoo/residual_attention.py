"""Residual attention networks (Wang et al., 2017, https://arxiv.org/abs/1704.06904), gluon-face's.

Pre-activation bottlenecks; the mask's branch has one skip per level and does not take the trunk, as
in the paper. `attention_net` has cavaface's networks of IR units.
"""

from .._compat import mx
from ._base import Backbone, ModelCfg, register
from ._layers import bn, conv, relu, sequence
from .attention_net import down, mask_layers, up
from .se_resnet import PooledHead

__all__ = ["ResidualAttentionNet"]

# channels and size of the three stages' maps; stage i halves the map 3, 2, 1 times in its masks
STAGES = ((256, 56, 3), (512, 28, 2), (1024, 14, 1))

# depth, (units before and after, in the trunk, per level of the mask), modules in the stages,
# parameters, multiply-accumulates
TABLE = (
    (56, (1, 2, 1), (1, 1, 1), 30_802_625, 6_212_034_560),
    (92, (1, 2, 1), (1, 2, 3), 51_458_241, 10_474_987_520),
    (128, (1, 2, 1), (3, 3, 3), 56_458_945, 14_942_658_560),
    (164, (1, 2, 1), (4, 4, 4), 69_287_105, 19_307_970_560),
    (236, (1, 2, 1), (6, 6, 6), 94_943_425, 28_038_594_560),
    (452, (2, 4, 3), (6, 6, 6), 175_491_265, 48_428_515_328),
)


class _Unit(mx.gluon.HybridBlock):
    """BatchNorm, ReLU, 1x1, the same with 3x3 and 1x1; plus the shortcut.

    Where channels change the shortcut is a 1x1 convolution of the activated input.
    """

    def __init__(self, inputs, outputs, stride=1, **kwargs):
        super().__init__(**kwargs)
        width = outputs // 4
        with self.name_scope():
            self.active = sequence(bn(inputs), relu())
            self.body = sequence(
                *(conv(inputs, width), bn(width), relu()),
                *(conv(width, width, 3, stride), bn(width), relu()),
                conv(width, outputs),
            )
            self.project = conv(inputs, outputs, 1, stride) if inputs != outputs else None

    def hybrid_forward(self, F, x):
        active = self.active(x)
        shortcut = x if self.project is None else self.project(active)
        return F.elemwise_add(self.body(active), shortcut)


class _Module(mx.gluon.HybridBlock):
    """An attention module: units, a trunk times one plus its mask, units.

    Parameters
    ----------
    channels, size : int
        Of the map.
    levels : int
        How often the mask's branch halves it.
    sides, trunk, per_level : int
        Units before and after, in the trunk, and on each level of the mask on each way.
    """

    def __init__(self, channels, size, levels, sides, trunk, per_level, **kwargs):
        super().__init__(**kwargs)
        self.size = size

        def units(count):
            return sequence(*(_Unit(channels, channels) for _ in range(count)))

        with self.name_scope():
            self.before, self.trunk, self.after = units(sides), units(trunk), units(sides)
            self.downs = sequence(*(units(per_level) for _ in range(levels)))
            self.skips = units(levels - 1)
            self.ups = sequence(*(units(per_level) for _ in range(levels)))
            self.tail = mask_layers(channels)

    def hybrid_forward(self, F, x):
        x = self.before(x)
        y, skips = x, []
        for i, block in enumerate(self.downs):
            y = block(down(F, y))
            if i < len(self.skips):
                skips.append(self.skips[i](y))
        for i in reversed(range(len(self.ups))):
            if i < len(skips):
                y = F.elemwise_add(y, skips[i])
            y = up(F, self.ups[i](y), self.size >> i)
        return self.after(F.elemwise_mul(1 + self.tail(y), self.trunk(x)))


class ResidualAttentionNet(Backbone):
    """Residual attention network.

    Parameters
    ----------
    cfg : ModelCfg
    counts : (int, int, int)
        Units before and after the trunk, in it, and per level of the mask.
    modules : sequence of three int
        Attention modules in each stage.
    prelu : {"fast", "elementwise", "plain"}, default "fast"
        Form of the last PReLU; the others are ReLUs.
    """

    def __init__(self, cfg, counts, modules, prelu="fast", **kwargs):
        super().__init__(cfg, **kwargs)
        with self.name_scope():
            self.stem = sequence(conv(3, 64, 3), bn(64), relu())
            self.stages = sequence()
            width = 64
            for count, (channels, size, levels) in zip(modules, STAGES):
                self.stages.add(_Unit(width, channels, 2))
                width = channels
                for _ in range(count):
                    self.stages.add(_Module(channels, size, levels, *counts))
            for inputs, stride in ((width, 2), (2048, 1), (2048, 1)):
                self.stages.add(_Unit(inputs, 2048, stride))
            self.head = sequence(bn(2048), relu(), PooledHead(2048, cfg.embedding_size, prelu))


def _register(depth, counts, modules, params, macs):
    names = [f"attention_net_{depth}", f"attention-{depth}", f"attention{depth}"]

    @register(
        ModelCfg(
            name=f"attention_net{depth}",
            embedding_size=512,
            params=params,
            macs=macs,
            params_per_dim=2048,
            macs_per_dim=2048,
            paper="https://arxiv.org/abs/1704.06904",
            source="https://github.com/THUFutureLab/gluon-face",
            note="The last layer is a PReLU.",
        ),
        aliases=[*names, "attention_net"] if depth == 128 else names,
    )
    def build(cfg, **kwargs):
        return ResidualAttentionNet(cfg, counts, modules, **kwargs)


for _row in TABLE:
    _register(*_row)
