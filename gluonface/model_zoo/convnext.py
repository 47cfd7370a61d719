"""ConvNeXt (Liu et al., 2022, https://arxiv.org/abs/2201.03545) as timm-face trains it.

Patches are of 2x2 pixels, so that faces of 112x112 give the maps that larger images give
otherwise: 56, 28, 14, 7 and 3. Each stage, the first too, begins with a LayerNorm and a
convolution of 2x2 patches.
"""

from .._compat import mx
from ..nn import ChannelNorm, ConvNeXtBlock, PooledHead, downsample, patches
from ._base import Backbone, cavaface_cfg, register
from ._layers import sequence

__all__ = ["ConvNeXt"]

# name, channels and blocks of the stages, largest share of dropped blocks, parameters, MACs
TABLE = (
    ("atto", (40, 80, 160, 320), (2, 2, 6, 2), 0, 3_543_952, 135_842_240),
    ("nano", (80, 160, 320, 640), (2, 2, 8, 2), 0.1, 15_303_712, 607_454_720),
)


class ConvNeXt(Backbone):
    """ConvNeXt with layer scales, for small images.

    Parameters
    ----------
    cfg : ModelCfg
    channels, blocks : sequence of four int
        Of each stage.
    drop : float, default 0
        Share of samples that skip the last block in training; it grows linearly from 0.
    prelu : str
        Without effect: there is no PReLU.
    """

    def __init__(self, cfg, channels, blocks, drop=0, prelu="fast", **kwargs):
        super().__init__(cfg, **kwargs)
        del prelu
        inputs, number, last = channels[0], 0, sum(blocks) - 1
        with self.name_scope():
            self.stem = sequence(patches(3, inputs, 2), ChannelNorm(inputs))
            self.stages = sequence()
            for width, count in zip(channels, blocks):
                stage = sequence(*downsample(inputs, width))
                for _ in range(count):
                    stage.add(ConvNeXtBlock(width, drop=drop * number / last))
                    number += 1
                self.stages.add(stage)
                inputs = width
            self.head = PooledHead(inputs, cfg.embedding_size)
        normal = mx.initializer.Normal(0.02)
        self.apply(lambda block: hasattr(block, "weight") and setattr(block.weight, "init", normal))


def _register(name, channels, blocks, drop, params, macs):
    @register(
        cavaface_cfg(
            f"timmface_convnext_{name}",
            *(params, macs, "https://arxiv.org/abs/2201.03545"),
            inputs=channels[-1],
            learned=1,
            source="https://github.com/gau-nernst/timm-face",
        ),
        aliases=(f"convnext_{name}", f"convnext-{name}"),
    )
    def build(cfg, **kwargs):
        return ConvNeXt(cfg, channels, blocks, drop, **kwargs)


for _row in TABLE:
    _register(*_row)
