"""Residual attention networks (Wang et al., 2017, https://arxiv.org/abs/1704.06904) of IR units.

As cavaface has them: AttentionNet-IR and -IRSE with 56 and 92 layers. A module scales its trunk
by ``1 + mask``, the mask being computed on smaller maps. The first module of the reference adds
``1 + mask`` to the trunk, probably by mistake; it is kept, because trained weights depend on it.
"""

from .._compat import mx
from ..nn import FCHead, PReLU
from ._base import Backbone, cavaface_cfg, register
from ._layers import bn, conv, relu, sequence
from .ir import IRUnit

__all__ = ["AttentionNet", "down", "mask_layers", "up"]

# depth, modules in the three stages, (parameters, multiply-accumulates) of IR and of IRSE
TABLE = (
    (56, (1, 1, 1), (37_995_072, 5_528_190_976), (38_177_856, 5_528_373_760)),
    (92, (1, 2, 3), (55_123_648, 8_813_314_048), (55_423_168, 8_813_613_568)),
)


def down(F, x):
    """Return `x` at half its size, by 3x3 maximum pooling."""
    return F.Pooling(x, kernel=(3, 3), stride=(2, 2), pad=(1, 1), pool_type="max")


def up(F, x, size):
    """Return `x` resized to (size, size) bilinearly, with aligned corners."""
    return F.contrib.BilinearResize2D(x, height=size, width=size)


def mask_layers(channels):
    """Return the layers from a map to factors from 0 to 1: twice BatchNorm, ReLU, 1x1; sigmoid."""
    layers = []
    for _ in range(2):
        layers += [bn(channels), relu(), conv(channels, channels)]
    return sequence(*layers, mx.gluon.nn.Activation("sigmoid"))


class _Module(mx.gluon.HybridBlock):
    """An attention module: a first unit, a trunk, a mask, a last unit.

    Parameters
    ----------
    unit : callable
        Returns a fresh unit that keeps channels and size.
    channels, size : int
        Of the map.
    downs : sequence of int
        Units after each halving of the map, outermost first.
    add : bool
        Whether ``1 + mask`` is added to the trunk instead of multiplied with it.
    """

    def __init__(self, unit, channels, size, downs, add, **kwargs):
        super().__init__(**kwargs)
        self.size, self.add_mask = size, add
        with self.name_scope():
            self.first = unit()
            self.trunk = sequence(unit(), unit())
            self.downs, self.skips, self.ups = sequence(), sequence(), sequence()
            for count in downs:
                self.downs.add(sequence(*(unit() for _ in range(count))))
            for _ in downs[1:]:
                self.skips.add(unit())
                self.ups.add(unit())
            self.tail = mask_layers(channels)
            self.last = unit()

    def hybrid_forward(self, F, x):
        x = self.first(x)
        trunk = self.trunk(x)
        maps, skips = [], []
        for i, units in enumerate(self.downs):
            x = units(down(F, x))
            maps.append(x)
            if i < len(self.skips):
                skips.append(self.skips[i](x))
        for i in reversed(range(len(skips))):
            x = up(F, x, self.size >> (i + 1))
            x = self.ups[i](F.add_n(x, maps[i], skips[i]))
        mask = self.tail(F.elemwise_add(up(F, x, self.size), trunk))
        mask = 1 + mask
        return self.last(
            F.elemwise_add(mask, trunk) if self.add_mask else F.elemwise_mul(mask, trunk)
        )


# channels, size of the map, units after each halving, whether the mask is added
MODULES = (
    (64, 56, (1, 1, 2), True),
    (128, 28, (1, 2), False),
    (256, 14, (2,), False),
)


class AttentionNet(Backbone):
    """AttentionNet of IR or IR-SE units.

    Parameters
    ----------
    cfg : ModelCfg
    modules : sequence of three int
        Attention modules in each stage.
    se : bool, default False
    """

    def __init__(self, cfg, modules, se=False, prelu="fast", **kwargs):
        super().__init__(cfg, **kwargs)
        with self.name_scope():
            self.stem = sequence(conv(3, 64, 3), bn(64), PReLU(64, prelu))
            self.stages = sequence()
            width = 64
            for count, (channels, size, downs, add) in zip(modules, MODULES):
                self.stages.add(IRUnit(width, channels, 2, se, prelu))
                width = channels

                def unit(channels=channels):
                    return IRUnit(channels, channels, 1, se, prelu)

                for _ in range(count):
                    self.stages.add(_Module(unit, channels, size, downs, add))
            for inputs, stride in ((width, 2), (512, 1), (512, 1)):
                self.stages.add(IRUnit(inputs, 512, stride, se, prelu))
            self.head = FCHead(512, cfg.embedding_size, scale=False, center=False)


def _register(depth, modules, se, params, macs):
    kind = "irse" if se else "ir"

    @register(
        cavaface_cfg(
            f"attentionnet_{kind}_{depth}",
            params,
            macs,
            "https://arxiv.org/abs/1704.06904",
            inputs=512 * 49,
            learned=1,
            note="As in cavaface, the first module adds its mask and does not multiply by it.",
        ),
        aliases=(f"attentionnet-{kind}-{depth}",),
    )
    def build(cfg, **kwargs):
        return AttentionNet(cfg, modules, se, **kwargs)


for _depth, _modules, _plain, _se in TABLE:
    _register(_depth, _modules, False, *_plain)
    _register(_depth, _modules, True, *_se)
