"""MobileFaceNet as InsightFace's ``arcface_torch`` has it: "mbf", wider but for the expansions.

After Chen et al., 2018, https://arxiv.org/abs/1804.07573.
"""

from ..nn import Chain, ConvBN, MobileHead
from ._base import cavaface_cfg, register
from ._mobile import Staged

__all__ = []

# Expanded width and output width of the strided block, and expanded width of the others. Only
# the output widths are scaled.
STAGES = ((128, 64, 128), (256, 128, 256), (512, 128, 256))


def _bottleneck(act, inputs, width, outputs, stride=1):
    return Chain(
        ConvBN(inputs, width, act=act(width)),
        ConvBN(width, width, 3, stride, groups=width, act=act(width)),
        ConvBN(width, outputs),
        residual=stride == 1,
    )


def layers(act, embedding_size, scale, blocks):
    """Return the blocks and the head; `blocks` counts the residual ones, first at 56x56."""
    width = 64 * scale
    stem = ConvBN(3, width, 3, 2, act=act(width))
    if blocks[0] == 1:  # a grouped convolution instead, two channels a group
        result = [Chain(stem, ConvBN(width, width, 3, groups=64, act=act(width)))]
    else:
        result = [stem, *(_bottleneck(act, width, 128, width) for _ in range(blocks[0]))]
    for (first, outputs, others), count in zip(STAGES, blocks[1:]):
        result.append(_bottleneck(act, width, first, outputs * scale, 2))
        width = outputs * scale
        result += [_bottleneck(act, width, others, width) for _ in range(count)]
    return result, MobileHead(width, 512, embedding_size, act(512))


def _register(name, scale, blocks, params, macs):
    @register(
        cavaface_cfg(
            name,
            params,
            macs,
            "https://arxiv.org/abs/1804.07573",
            source="https://github.com/deepinsight/insightface",
        ),
        aliases=(f"arcface_torch_{name}",),
    )
    def build(cfg, **kwargs):
        return Staged(cfg, layers, options={"scale": scale, "blocks": blocks}, **kwargs)


_register("mbf", 2, (1, 4, 6, 2), 2_059_520, 437_520_896)
_register("mbf_large", 4, (2, 8, 12, 4), 6_314_880, 1_816_482_816)
