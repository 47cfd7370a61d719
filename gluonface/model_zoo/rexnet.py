"""ReXNet (Han et al., 2020, https://arxiv.org/abs/2007.00992) for faces, as cavaface has it.

Widths grow linearly from block to block, so that a shortcut has fewer channels than the output.
"""

from .._compat import mx
from ..nn import SE, Chain, ConvBN, MobileHead, ReLU6, Swish
from ._base import cavaface_cfg, register
from ._mobile import Staged

__all__ = []

BLOCKS = 16
START, GROWTH = 16, 11.25  # width of the first block; of each next one that much more
STRIDED = (1, 3, 5, 11)
ATTENTION_FROM, ATTENTION_REDUCTION = 3, 12
EXPANSION = 6


class _Shortcut(mx.gluon.HybridBlock):
    """A chain, with its input added to as many of the output's channels."""

    def __init__(self, inputs, outputs, *blocks, **kwargs):
        super().__init__(**kwargs)
        self.inputs, self.outputs = inputs, outputs
        with self.name_scope():
            self.body = Chain(*blocks)

    def hybrid_forward(self, F, x):
        y = self.body(x)
        if self.inputs == self.outputs:
            return F.elemwise_add(y, x)
        # Zeros for the other channels: the gradient of a concat, which oneDNN would have to cut
        # out of its blocks of channels, is an error. Pad takes all axes but the first two.
        x = F.reshape(x, (0, -4, 1, -1, -3))
        x = F.pad(
            x,
            mode="constant",
            constant_value=0,
            pad_width=(0, 0, 0, 0, 0, self.outputs - self.inputs, 0, 0),
        )
        return F.elemwise_add(y, F.reshape_like(x, y))


def layers(act, embedding_size, factor):
    """Return the blocks and the head of a network with all widths times `factor`."""
    width = round(32 * factor)
    before = [ConvBN(3, width, 3, act=Swish())]  # the stem
    blocks = []
    for number in range(BLOCKS):
        # Python rounds halves to the even number, and the published counts rely on it.
        outputs = round((START + GROWTH * number) * factor)
        stride, expansion = 2 if number in STRIDED else 1, EXPANSION if number else 1
        wide = expansion * width
        if expansion > 1:
            before.append(ConvBN(width, wide, act=Swish()))
        before.append(ConvBN(wide, wide, 3, stride, groups=wide))
        if number >= ATTENTION_FROM:
            before.append(SE(wide, wide // ATTENTION_REDUCTION, norm=True))
        before += [ReLU6(), ConvBN(wide, outputs)]
        if number and stride == 1 and width <= outputs:
            blocks.append(_Shortcut(width, outputs, *before))
        else:
            blocks.append(Chain(*before))
        before, width = [], outputs
    return blocks, MobileHead(width, 512, embedding_size, Swish())


def _register(factor, params, macs, aliases=()):
    @register(
        cavaface_cfg(f"rexnetv1_x{factor}", params, macs, "https://arxiv.org/abs/2007.00992"),
        aliases=(f"rexnet_{factor}", *aliases),
    )
    def build(cfg, **kwargs):
        return Staged(cfg, layers, options={"factor": factor}, **kwargs)


_register(1.0, 3_661_537, 390_415_704, ("rexnet", "rexnetv1"))
_register(1.3, 5_902_587, 647_304_810)
_register(1.5, 7_704_041, 855_084_602)
_register(2.0, 13_333_044, 1_489_447_774)
_register(2.2, 16_017_556, 1_794_143_632)
_register(3.0, 29_306_704, 3_302_085_964)
