"""MobileNetV2 (Sandler et al., 2018, https://arxiv.org/abs/1801.04381) for faces.

As cavaface has it: PReLU for ReLU6, no stage of 24 channels, and 32 channels begin with stride 2.
"""

from ..nn import Chain, ConvBN, MobileHead
from ._base import cavaface_cfg, register
from ._mobile import Staged

__all__ = []

# Expansion, output width, blocks, stride of the first block; table 2 of the paper.
STAGES = (
    (1, 16, 1, 1),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def layers(act, embedding_size):
    """Return the blocks and the head."""
    width, blocks = 32, []
    before = [ConvBN(3, width, 3, 2, act=act(width))]  # the stem
    for expansion, outputs, count, first_stride in STAGES:
        for i in range(count):
            stride, wide = 1 if i else first_stride, expansion * width
            if expansion > 1:
                before.append(ConvBN(width, wide, act=act(wide)))
            blocks.append(
                Chain(
                    *before,
                    ConvBN(wide, wide, 3, stride, groups=wide, act=act(wide)),
                    ConvBN(wide, outputs),
                    residual=stride == 1 and width == outputs,
                )
            )
            before, width = [], outputs
    return blocks, MobileHead(width, 512, embedding_size, act(512))


@register(
    cavaface_cfg("mobilenetv2", 2_262_016, 209_577_600, "https://arxiv.org/abs/1801.04381"),
    aliases=("mobilenet_v2",),
)
def mobilenetv2(cfg, **kwargs):
    """Return a MobileNetV2."""
    return Staged(cfg, layers, **kwargs)
