"""EfficientNet (Tan and Le, 2019, https://arxiv.org/abs/1905.11946) for faces, b0 to b8.

As cavaface has it: no stride in the stem, PReLU for Swish, ReLU within the attention, no dropped
paths, and 512 channels before the head whatever the width. Its b2 to b8 do not build; these are
the same tables with the head that b0 and b1 have.
"""

import functools

from ..nn import SE, ConvBN, MobileHead
from ._base import cavaface_cfg, register
from ._mobile import UNIFORM, Staged, inverted_residual

__all__ = []

# Kernel, stride of the first block and expansion of each stage; table 1 of the paper.
STAGES = ((3, 1, 1), (3, 2, 6), (5, 2, 6), (3, 2, 6), (5, 1, 6), (5, 2, 6), (3, 1, 6))
# Width of the stem, output width and blocks of each stage.
NETWORKS = {
    "b0": (32, (16, 1), (24, 2), (40, 2), (80, 3), (112, 3), (192, 4), (320, 1)),
    "b1": (32, (16, 2), (24, 3), (40, 3), (80, 4), (112, 4), (192, 5), (320, 2)),
    "b2": (32, (16, 2), (24, 3), (48, 3), (88, 4), (120, 4), (208, 5), (352, 2)),
    "b3": (40, (24, 2), (32, 3), (48, 3), (96, 5), (136, 5), (232, 6), (384, 2)),
    "b4": (48, (24, 2), (32, 4), (56, 4), (112, 6), (160, 6), (272, 8), (448, 2)),
    "b5": (48, (24, 3), (40, 5), (64, 5), (128, 7), (176, 7), (304, 9), (512, 3)),
    "b6": (56, (32, 3), (40, 6), (72, 6), (144, 8), (200, 8), (344, 11), (576, 3)),
    "b7": (64, (32, 4), (48, 7), (80, 7), (160, 10), (224, 10), (384, 13), (640, 4)),
    "b8": (72, (32, 4), (56, 8), (88, 8), (176, 11), (248, 11), (424, 15), (704, 4)),
}


def layers(act, embedding_size, name):
    """Return the blocks and the head."""
    width, *stages = NETWORKS[name]
    stem = [ConvBN(3, width, 3, act=act(width))]
    blocks = []
    for (kernel, first_stride, expansion), (outputs, count) in zip(STAGES, stages):
        for i in range(count):
            stride, attention = 1 if i else first_stride, functools.partial(SE, width=width // 4)
            unit = (width, expansion, outputs, kernel, stride, stem, attention)
            blocks.append(inverted_residual(act, *unit))
            stem, width = [], outputs
    return blocks, MobileHead(width, 512, embedding_size, act(512))


def _register(name, params, macs):
    @register(
        cavaface_cfg(f"efficientnet_{name}", params, macs, "https://arxiv.org/abs/1905.11946"),
        aliases=(f"efficientnet-{name}",),
    )
    def build(cfg, **kwargs):
        return Staged(cfg, layers, options={"name": name}, **UNIFORM, **kwargs)


for _row in (
    ("b0", 4_067_964, 372_779_744),
    ("b1", 6_582_832, 556_616_672),
    ("b2", 7_703_154, 642_388_464),
    ("b3", 10_629_264, 942_191_888),
    ("b4", 17_318_112, 1_474_107_104),
    ("b5", 27_918_400, 2_316_197_248),
    ("b6", 40_090_600, 3_307_572_672),
    ("b7", 62_902_320, 5_103_367_104),
    ("b8", 83_431_390, 6_889_876_288),
):
    _register(*_row)
