"""MobileNetV2 (Sandler et al., 2018, https://arxiv.org/abs/1801.04381) for faces.

As cavaface has it: PReLU for ReLU6, no stage of 24 channels, and 32 channels begin with stride 2.
"""

from ..nn import ConvBN, MobileHead
from ._base import cavaface_cfg, register
from ._mobile import Staged, inverted_residual

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
    stem = [ConvBN(3, width, 3, 2, act=act(width))]
    for expansion, outputs, count, first_stride in STAGES:
        for i in range(count):
            stride = 1 if i else first_stride
            blocks.append(inverted_residual(act, width, expansion, outputs, 3, stride, stem))
            stem, width = [], outputs
    return blocks, MobileHead(width, 512, embedding_size, act(512))


@register(
    cavaface_cfg("mobilenetv2", 2_262_016, 209_577_600, "https://arxiv.org/abs/1801.04381"),
    aliases=("mobilenet_v2",),
)
def mobilenetv2(cfg, **kwargs):
    """Return a MobileNetV2."""
    return Staged(cfg, layers, **kwargs)
