"""GhostNet (Han et al., 2020, https://arxiv.org/abs/1911.11907) for faces, as cavaface has it.

Half of the channels of a Ghost module come from a cheap depthwise convolution of the other half.
"""

from .._compat import mx
from ..nn import SE, Chain, ConvBN, MobileHead
from ._base import cavaface_cfg, register
from ._mobile import Staged, rounded

__all__ = []

# Kernel, expanded width, output width, whether with attention, stride; table 1 of the paper, but
# for the last row.
BLOCKS = (
    (3, 16, 16, False, 1),
    (3, 48, 24, False, 2),
    (3, 72, 24, False, 1),
    (5, 72, 40, True, 2),
    (5, 120, 40, True, 1),
    (3, 240, 80, False, 2),
    (3, 200, 80, False, 1),
    (3, 184, 80, False, 1),
    (3, 184, 80, False, 1),
    (3, 480, 112, True, 1),
    (3, 672, 112, True, 1),
    (5, 672, 160, True, 2),
    (5, 960, 160, False, 1),
    (5, 960, 160, True, 1),
    (5, 960, 160, False, 1),
    (5, 512, 160, True, 1),
)


class _Ghost(mx.gluon.HybridBlock):
    """A 1x1 convolution and a depthwise one of its output, side by side."""

    def __init__(self, inputs, outputs, act=None, **kwargs):
        super().__init__(**kwargs)
        self.outputs, half = outputs, -(-outputs // 2)
        with self.name_scope():
            self.primary = ConvBN(inputs, half, act=act and act(half))
            self.cheap = ConvBN(half, half, 3, groups=half, act=act and act(half))

    def hybrid_forward(self, F, x):
        y = self.primary(x)
        # As concat, whose gradient oneDNN cannot cut out of its blocks of channels.
        y = F.reshape(F.stack(y, self.cheap(y), axis=1), (0, -3, 0, 0))
        return F.slice_axis(y, axis=1, begin=0, end=self.outputs) if self.outputs % 2 else y


class _Bottleneck(mx.gluon.HybridBlock):
    """Ghost module, depthwise convolution if strided, attention, Ghost module; plus a shortcut."""

    def __init__(self, act, inputs, kernel, width, outputs, attention, stride, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.body = mx.gluon.nn.HybridSequential()
            self.body.add(_Ghost(inputs, width, act))
            if stride > 1:
                self.body.add(ConvBN(width, width, kernel, stride, groups=width))
            if attention:
                self.body.add(SE(width, rounded(width / 4, 4), gate="hard_sigmoid"))
            self.body.add(_Ghost(width, outputs))
            self.shortcut = None
            if stride > 1 or inputs != outputs:
                self.shortcut = Chain(
                    ConvBN(inputs, inputs, kernel, stride, groups=inputs), ConvBN(inputs, outputs)
                )

    def hybrid_forward(self, F, x):
        return F.elemwise_add(self.body(x), x if self.shortcut is None else self.shortcut(x))


def layers(act, embedding_size, factor):
    """Return the blocks and the head of a network with all widths times `factor`."""
    width = rounded(16 * factor, 4)
    blocks = [ConvBN(3, width, 3, act=act(width))]
    for kernel, expanded, outputs, attention, stride in BLOCKS:
        outputs = rounded(outputs * factor, 4)
        expanded = rounded(expanded * factor, 4)
        blocks.append(_Bottleneck(act, width, kernel, expanded, outputs, attention, stride))
        width = outputs
    final = rounded(512 * factor, 4)
    return blocks, MobileHead(width, final, embedding_size, act(final))


def _register(name, factor, params, macs, aliases):
    @register(
        cavaface_cfg(
            name,
            params,
            macs,
            "https://arxiv.org/abs/1911.11907",
            inputs=rounded(512 * factor, 4),
        ),
        aliases,
    )
    def build(cfg, **kwargs):
        return Staged(cfg, layers, options={"factor": factor}, **kwargs)


_register("ghostnet", 1.0, 2_490_132, 131_475_792, ("ghostnet_x1.0",))
_register("ghostnet_x1.3", 1.3, 4_058_608, 211_909_644, ("ghostnet-x1.3",))
