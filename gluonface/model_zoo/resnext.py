"""ResNeXt (Xie et al., 2017, https://arxiv.org/abs/1611.05431): bottlenecks of grouped 3x3.

Stem and head are those of cavaface's ResNet, with which it means to build ResNeXt (its factory
fails); the widths are the paper's. The 7x7 stem and its pooling leave a last map of 4x4.
"""

from .._compat import mx
from ..nn import FCHead
from ._base import Backbone, ModelCfg, register
from ._layers import bn, conv, sequence

__all__ = ["ResNeXt"]

OUTPUTS = (256, 512, 1024, 2048)
GROUPS = 32


def _relu():
    return mx.gluon.nn.Activation("relu")


class _Unit(mx.gluon.HybridBlock):
    """1x1, grouped 3x3 with the stride, 1x1, each with BatchNorm; plus the shortcut; ReLU."""

    def __init__(self, inputs, width, outputs, stride, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.body = sequence(
                *(conv(inputs, width), bn(width), _relu()),
                *(conv(width, width, 3, stride, GROUPS), bn(width), _relu()),
                # So that a fresh unit is its shortcut (Goyal et al., 2017).
                *(conv(width, outputs), bn(outputs, gamma_initializer="zeros")),
            )
            self.shortcut = None
            if inputs != outputs:
                self.shortcut = sequence(conv(inputs, outputs, 1, stride), bn(outputs))

    def hybrid_forward(self, F, x):
        shortcut = x if self.shortcut is None else self.shortcut(x)
        return F.relu(F.elemwise_add(self.body(x), shortcut))


class ResNeXt(Backbone):
    """ResNeXt with 32 groups.

    Parameters
    ----------
    cfg : ModelCfg
    units : sequence of four int
        Units of each stage; the first of each but the first stage halves the map.
    group_width : int
        Channels of a group in the first stage; doubles with each stage.
    prelu : str
        Without effect: there is none.
    """

    def __init__(self, cfg, units, group_width, prelu="fast", **kwargs):
        super().__init__(cfg, **kwargs)
        with self.name_scope():
            self.stem = sequence(conv(3, 64, 7, 2), bn(64), _relu(), mx.gluon.nn.MaxPool2D(3, 2, 1))
            self.stages = sequence()
            inputs, width = 64, group_width * GROUPS
            for i, (count, outputs) in enumerate(zip(units, OUTPUTS)):
                stage = sequence()
                for j in range(count):
                    stage.add(_Unit(inputs, width, outputs, 2 if i and not j else 1))
                    inputs = outputs
                self.stages.add(stage)
                width *= 2
            self.head = FCHead(
                inputs,
                cfg.embedding_size,
                size=4,
                dropout=0.5,
                weight_initializer=mx.initializer.Xavier("uniform", "in", 1),
                bias_initializer=mx.initializer.Uniform((inputs * 16) ** -0.5),
            )

    def embed(self, F, x):
        """Return embeddings (N, D) of preprocessed images `x` (N, 3, 112, 112)."""
        return self.head(self.stages(self.stem(x)))


@register(
    ModelCfg(
        name="resnext50",
        embedding_size=512,
        params=39_762_752,
        macs=1_124_388_864,
        params_per_dim=2048 * 16 + 3,
        macs_per_dim=2048 * 16,
        paper="https://arxiv.org/abs/1611.05431",
        source="https://github.com/cavalleria/cavaface",
        scale=1 / 127.5,
        note="The reference's factory fails; stem and head as in its ResNet.",
    ),
    aliases=("resnext-50", "resnext_50", "resnext50_32x4d", "resnext_50_32x4d"),
)
def resnext50(cfg, **kwargs):
    """Return a ResNeXt-50 32x4d."""
    return ResNeXt(cfg, (3, 4, 6, 3), 4, **kwargs)
