"""MobileNeXt (Zhou et al., 2020, https://arxiv.org/abs/2007.02269) for faces, as cavaface has it.

Sandglass blocks: wide at both ends, with the depthwise convolutions there, and narrow between.
"""

from ..nn import GDC, Chain, ConvBN
from ._base import cavaface_cfg, register
from ._mobile import Staged

__all__ = []

REDUCTION = 6
# Output width, blocks, stride of the first block; table 2 of the paper without its first stage.
STAGES = (
    (144, 1, 1),
    (192, 3, 2),
    (288, 3, 2),
    (384, 4, 1),
    (576, 4, 2),
    (960, 2, 1),
    (512, 1, 1),
)


def layers(act, embedding_size):
    """Return the blocks and the head."""
    width, blocks = 32, []
    stem = [ConvBN(3, width, 3, 2, act=act(width))]
    for outputs, count, first_stride in STAGES:
        for i in range(count):
            stride, narrow = 1 if i else first_stride, round(width / REDUCTION)
            blocks.append(
                Chain(
                    *stem,
                    ConvBN(width, width, 3, groups=width, act=act(width)),
                    ConvBN(width, narrow),
                    ConvBN(narrow, outputs, act=act(outputs)),
                    ConvBN(outputs, outputs, 3, stride, groups=outputs),
                    residual=stride == 1 and width == outputs,
                )
            )
            stem, width = (), outputs
    return blocks, GDC(width, embedding_size)


@register(
    cavaface_cfg("mobilenext", 1_858_474, 200_113_152, "https://arxiv.org/abs/2007.02269"),
    aliases=("mobile_next",),
)
def mobilenext(cfg, **kwargs):
    """Return a MobileNeXt."""
    return Staged(cfg, layers, **kwargs)
