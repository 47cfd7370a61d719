"""MobileNetV3-Large (Howard et al., 2019, https://arxiv.org/abs/1905.02244) for faces.

As cavaface has it: no stride in the stem, and PReLU throughout.
"""

from ..nn import SE, Chain, ConvBN, MobileHead
from ._base import cavaface_cfg, register
from ._mobile import Staged

__all__ = []

# Kernel, expanded width, output width, width of the attention or 0, stride; table 1 of the paper.
BLOCKS = (
    (3, 16, 16, 0, 1),
    (3, 64, 24, 0, 2),
    (3, 72, 24, 0, 1),
    (5, 72, 40, 24, 2),
    (5, 120, 40, 32, 1),
    (5, 120, 40, 32, 1),
    (3, 240, 80, 0, 2),
    (3, 200, 80, 0, 1),
    (3, 184, 80, 0, 1),
    (3, 184, 80, 0, 1),
    (3, 480, 112, 120, 1),
    (3, 672, 112, 168, 1),
    (5, 672, 160, 168, 2),
    (5, 960, 160, 240, 1),
    (5, 960, 160, 240, 1),
)


def _bottleneck(act, inputs, kernel, width, outputs, attention, stride):
    blocks = []
    if width != inputs:
        blocks.append(ConvBN(inputs, width, act=act(width)))
    depthwise = {"kernel": kernel, "stride": stride, "groups": width}
    if attention:
        blocks.append(ConvBN(width, width, **depthwise))
        blocks += [SE(width, attention, gate="hard_sigmoid"), act(width)]
    else:
        blocks.append(ConvBN(width, width, **depthwise, act=act(width)))
    blocks.append(ConvBN(width, outputs))
    return Chain(*blocks, residual=stride == 1 and inputs == outputs)


def layers(act, embedding_size):
    """Return the blocks and the head."""
    width = 16
    blocks = [ConvBN(3, width, 3, act=act(width))]
    for row in BLOCKS:
        blocks.append(_bottleneck(act, width, *row))
        width = row[2]
    return blocks, MobileHead(width, 512, embedding_size, act(512))


@register(
    cavaface_cfg("mobilenetv3", 3_199_200, 210_855_872, "https://arxiv.org/abs/1905.02244"),
    aliases=("mobilenet_v3", "mobilenetv3_large"),
)
def mobilenetv3(cfg, **kwargs):
    """Return a MobileNetV3-Large."""
    return Staged(cfg, layers, **kwargs)
