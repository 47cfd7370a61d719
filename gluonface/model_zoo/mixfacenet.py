"""MixFaceNet and ShuffleMixFaceNet (Boutros et al., 2021, https://arxiv.org/abs/2107.13046).

Depthwise convolutions with kernels of several sizes in one layer; the Shuffle variants also
reorder the channels after each unit.
"""

from .._compat import mx
from ..nn import SE, Chain, ConvBN, MobileHead, Swish, conv, in_blocks
from ._base import cavaface_cfg, register
from ._mobile import KAIMING_UNIFORM, Staged, rounded

__all__ = []

# Output width, stride, groups of the expansion, kernels of the depthwise convolution, groups of
# the projection, expansion, reduction of the attention or 0. Units of each stage.
STAGES_S = (
    ((24, 1, 2, 1, 2, 6, 0), (24, 1, 2, 1, 2, 3, 0)),
    ((40, 2, 1, 3, 1, 6, 2), *[(40, 1, 2, 2, 2, 6, 2)] * 3),
    ((80, 2, 1, 3, 2, 6, 4), *[(80, 1, 1, 2, 2, 6, 4)] * 2),
    ((120, 1, 2, 3, 2, 6, 2), *[(120, 1, 2, 4, 2, 3, 2)] * 2),
    ((200, 2, 1, 5, 1, 6, 2), *[(200, 1, 1, 4, 2, 6, 2)] * 2),
)
STAGES_M = (
    ((32, 1, 2, 3, 2, 6, 0), (32, 1, 2, 1, 2, 3, 0)),
    ((40, 2, 1, 4, 1, 6, 2), *[(40, 1, 2, 2, 2, 6, 2)] * 3),
    ((80, 2, 1, 3, 1, 6, 4), *[(80, 1, 2, 4, 2, 6, 4)] * 3),
    ((120, 1, 1, 1, 1, 6, 2), *[(120, 1, 2, 4, 2, 3, 2)] * 3),
    ((200, 2, 1, 4, 1, 6, 2), *[(200, 1, 1, 4, 2, 6, 2)] * 3),
)


class _MixedDepthwise(mx.gluon.HybridBlock):
    """Depthwise convolutions of 3x3, 5x5, ..., each of as many channels; BatchNorm; activation.

    The remainder of the channels goes to the first.
    """

    def __init__(self, channels, kernels, stride, act, **kwargs):
        super().__init__(**kwargs)
        sizes = [channels // kernels] * kernels
        sizes[0] += channels % kernels
        ends = [sum(sizes[: i + 1]) for i in range(kernels)]
        self.bounds = list(zip([0, *ends], ends))
        with self.name_scope():
            self.convs = mx.gluon.nn.HybridSequential()
            for i, size in enumerate(sizes):
                self.convs.add(conv(size, size, 3 + 2 * i, stride, groups=size))
            self.bn = mx.gluon.nn.BatchNorm(in_channels=channels)
            self.act = act

    def hybrid_forward(self, F, x):
        maps = [
            convolution(F.slice_axis(x, axis=1, begin=begin, end=end))
            for convolution, (begin, end) in zip(self.convs, self.bounds)
        ]
        return self.act(self.bn(in_blocks(F, F.concat(*maps, dim=1))))


class _Shuffle(mx.gluon.HybridBlock):
    """Channels with even numbers first, then those with odd numbers."""

    def hybrid_forward(self, F, x):
        pairs = F.reshape(x, (0, -4, -1, 2, 0, 0))
        return F.reshape(F.swapaxes(pairs, dim1=1, dim2=2), (0, -3, 0, 0))


def _unit(act, inputs, row):
    outputs, stride, expand_groups, kernels, project_groups, expansion, reduction = row
    width = expansion * inputs
    blocks = [ConvBN(inputs, width, groups=expand_groups, act=act(width))]
    if kernels == 1:
        blocks.append(ConvBN(width, width, 3, stride, groups=width, act=act(width)))
    else:
        blocks.append(_MixedDepthwise(width, kernels, stride, act(width)))
    if reduction:
        blocks.append(SE(width, inputs // reduction, act=act(inputs // reduction)))
    blocks.append(ConvBN(width, outputs, groups=project_groups))
    return Chain(*blocks, residual=stride == 1 and inputs == outputs)


def layers(act, embedding_size, stages, width, factor, final, shuffle):
    """Return the blocks and the head of a network with all widths times `factor`."""
    width = rounded(width * factor)
    blocks = [
        ConvBN(3, width, 3, 2, act=act(width)),
        Chain(
            ConvBN(width, width, 3, groups=width, act=act(width)),
            ConvBN(width, width),
            residual=True,
        ),
    ]
    blocks += [_Shuffle()] * shuffle
    for number, rows in enumerate(stages):
        stage_act = (lambda channels: Swish()) if number else act
        for row in rows:
            row = (rounded(row[0] * factor), *row[1:])
            blocks.append(_unit(stage_act, width, row))
            blocks += [_Shuffle()] * shuffle
            width = row[0]
    head = MobileHead(width, final, embedding_size, act(final), scale=False)
    return blocks, head


def _register(size, params, macs, **options):
    for shuffle in (False, True):
        name = "shufflemixfacenet" if shuffle else "mixfacenet"
        description = cavaface_cfg(
            f"{name}_{size}",
            params,
            macs,
            "https://arxiv.org/abs/2107.13046",
            source="https://github.com/fdbtrs/mixfacenets",
            inputs=options["final"],
            learned=1,
        )

        @register(description, aliases=(f"{name}-{size}",))
        def build(cfg, shuffle=shuffle, **kwargs):
            return Staged(
                cfg,
                layers,
                options={"shuffle": shuffle, **options},
                conv_init=KAIMING_UNIFORM,
                linear_init=KAIMING_UNIFORM,  # of a 1x1 convolution in the reference
                **kwargs,
            )


_register("m", 3_952_534, 303_388_992, stages=STAGES_M, width=24, factor=1, final=1024)
_register("s", 3_072_598, 218_141_424, stages=STAGES_S, width=16, factor=1, final=1024)
_register("xs", 1_040_354, 76_561_120, stages=STAGES_S, width=16, factor=0.5, final=512)
