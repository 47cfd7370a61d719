"""ResNeXt (Xie et al., 2017, https://arxiv.org/abs/1611.05431): bottlenecks of grouped 3x3.

Stem and head are those of cavaface's ResNet, with which it means to build ResNeXt (its factory
fails); the widths are the paper's. The 7x7 stem and its pooling leave a last map of 4x4.
"""

import functools

from .._compat import mx
from ..nn import FCHead
from ._base import Backbone, cavaface_cfg, register
from ._layers import Residual, bn, conv, projection, relu, residual_stages, sequence

__all__ = ["ResNeXt"]

OUTPUTS = (256, 512, 1024, 2048)
GROUPS = 32


class _Unit(Residual):
    """1x1, grouped 3x3 with the stride, 1x1, each with BatchNorm; plus the shortcut; ReLU.

    `width` is that of the 3x3 convolution, as a share of the outputs.
    """

    def __init__(self, inputs, outputs, stride, width, **kwargs):
        super().__init__(**kwargs)
        width = int(width * outputs)
        with self.name_scope():
            self.body = sequence(
                *(conv(inputs, width), bn(width), relu()),
                *(conv(width, width, 3, stride, GROUPS), bn(width), relu()),
                # So that a fresh unit is its shortcut (Goyal et al., 2017).
                *(conv(width, outputs), bn(outputs, gamma_initializer="zeros")),
            )
            self.shortcut = projection(inputs, outputs, stride)


class ResNeXt(Backbone):
    """ResNeXt with 32 groups.

    Parameters
    ----------
    cfg : ModelCfg
    units : sequence of four int
        Units of each stage; the first of each but the first stage halves the map.
    group_width : int
        Channels of a group in the first stage; doubles with each stage.
    """

    def __init__(self, cfg, units, group_width, prelu="fast", **kwargs):
        super().__init__(cfg, **kwargs)
        with self.name_scope():
            self.stem = sequence(conv(3, 64, 7, 2), bn(64), relu(), mx.gluon.nn.MaxPool2D(3, 2, 1))
            unit = functools.partial(_Unit, width=group_width * GROUPS / OUTPUTS[0])
            self.stages = residual_stages(unit, 64, units, OUTPUTS)
            self.head = FCHead(OUTPUTS[-1], cfg.embedding_size, size=4, dropout=0.5, uniform=True)


@register(
    cavaface_cfg(
        "resnext50",
        39_762_752,
        1_124_388_864,
        "https://arxiv.org/abs/1611.05431",
        inputs=2048 * 16,
        learned=3,
        note="cavaface's function for it fails, so stem and head are those of cavaface's ResNet.",
    ),
    aliases=("resnext-50", "resnext_50", "resnext50_32x4d", "resnext_50_32x4d"),
)
def resnext50(cfg, **kwargs):
    """Return a ResNeXt-50 32x4d."""
    return ResNeXt(cfg, (3, 4, 6, 3), 4, **kwargs)
