"""MobileFaceNet as gluon-face has it: PReLUs with one slope for all channels, 128 dimensions.

After Chen et al., 2018, https://arxiv.org/abs/1804.07573. "re" is gluon-face's smaller variant.
"""

import functools

from ..nn import SE, Chain, ConvBN, MobileHead
from ._base import ModelCfg, register
from ._mobile import Staged

__all__ = []

# Output width, blocks, expansion, stride of the first block.
STAGES = ((64, 5, 2, 2), (128, 1, 4, 2), (128, 6, 2, 1), (128, 1, 4, 2), (128, 2, 2, 1))
STAGES_RE = ((24, 1, 3, 2), (32, 2, 3, 2), (64, 3, 3, 1), (96, 2, 3, 2), (160, 2, 3, 1))


def _bottleneck(act, inputs, width, outputs, stride, se, stem=()):
    attention = [SE(outputs, act=act(outputs // 16))] if se else []
    return Chain(
        *stem,
        ConvBN(inputs, width, act=act(width)),
        ConvBN(width, width, 3, stride, groups=width, act=act(width)),
        ConvBN(width, outputs),
        *attention,
        residual=stride == 1 and inputs == outputs,
    )


def layers(act, embedding_size, stages, width, final, se):
    """Return the blocks and the head, for a stem of `width` and a last map of `final` channels."""
    act = functools.partial(act, shared=True)
    stem = [ConvBN(3, width, 3, 2, act=act(width))]
    if stages is STAGES:
        stem.append(ConvBN(width, width, 3, groups=width, act=act(width)))
    blocks = []
    for outputs, count, expansion, first_stride in stages:
        for i in range(count):
            stride = 1 if i else first_stride
            blocks.append(_bottleneck(act, width, expansion * width, outputs, stride, se, stem))
            stem, width = (), outputs
    head = MobileHead(width, final, embedding_size, act(final), scale=False, center=False)
    return blocks, head


def _register(name, size, params, macs, aliases=(), **options):
    final = options["final"]

    @register(
        ModelCfg(
            name=name,
            embedding_size=size,
            params=params,
            macs=macs,
            params_per_dim=final,
            macs_per_dim=final,
            paper="https://arxiv.org/abs/1804.07573",
            source="https://github.com/THUFutureLab/gluon-face",
        ),
        aliases,
    )
    def build(cfg, **kwargs):
        return Staged(cfg, layers, options=options, **kwargs)


_PLAIN = {"stages": STAGES, "width": 64, "final": 512}
_RE = {"stages": STAGES_RE, "width": 32, "final": 320}
_register("gluonfr_mobilefacenet", 128, 995_361, 220_965_376, se=False, **_PLAIN)
_register("gluonfr_mobilefacenet_se", 128, 1_020_116, 220_988_416, se=True, **_PLAIN)
_register("gluonfr_mobilefacenet_re", 160, 535_054, 50_707_008, se=False, **_RE)
_register("gluonfr_mobilefacenet_re_se", 160, 546_449, 50_717_552, se=True, **_RE)
