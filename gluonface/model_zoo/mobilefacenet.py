"""MobileFaceNet (Chen et al., 2018, https://arxiv.org/abs/1804.07573), plain and with attention.

Inverted residuals with per-channel PReLU and a global depthwise convolution as the head. Layers
and counts follow cavaface's implementation, which is InsightFace's ``fmobilefacenet`` ("y1") but
for the bias that the latter has before its last BatchNorm, where it has no effect in training.
"""

from .._compat import mx
from ..nn import CBAM, ECA, GCT, GDC, SE, PReLU, bn_prelu_conv
from ._base import Backbone, ModelCfg, register
from ._mobile import cavaface

__all__ = ["MobileFaceNet", "mobilefacenet"]

# (blocks, expanded width, output width, stride of the first block); section 2, table 1 of the
# paper. A row with stride 1 has residual connections.
STAGES = (
    (1, 128, 64, 2),
    (4, 128, 64, 1),
    (1, 256, 128, 2),
    (6, 256, 128, 1),
    (1, 512, 128, 2),
    (2, 256, 128, 1),
)


def _conv(inputs, outputs, kernel=1, stride=1, depthwise=False):
    return mx.gluon.nn.Conv2D(
        outputs,
        kernel,
        strides=stride,
        padding=kernel // 2,
        groups=inputs if depthwise else 1,
        use_bias=False,
        in_channels=inputs,
    )


def _bn(channels):
    return mx.gluon.nn.BatchNorm(in_channels=channels)


class _Bottleneck(mx.gluon.HybridBlock):
    """1x1 expansion, 3x3 depthwise, linear 1x1 projection, attention, and the input."""

    def __init__(self, inputs, width, outputs, stride, residual, form, attention, **kwargs):
        super().__init__(**kwargs)
        self.residual = residual
        with self.name_scope():
            self.conv1 = _conv(inputs, width)
            self.bn1 = _bn(width)
            self.prelu1 = PReLU(width, form)
            self.conv2 = _conv(width, width, 3, stride, depthwise=True)
            self.bn2 = _bn(width)
            self.prelu2 = PReLU(width, form)
            self.conv3 = _conv(width, outputs)
            self.bn3 = _bn(outputs)
            self.attention = attention(outputs) if attention else None

    def hybrid_forward(self, F, x):
        y = self.after_conv1(F, self.conv1(x))
        return F.elemwise_add(y, x) if self.residual else y

    def after_conv1(self, F, y):
        """Return what follows the expansion, given its output."""
        y = bn_prelu_conv(F, y, self.bn1, self.prelu1, self.conv2)
        y = self.bn3(bn_prelu_conv(F, y, self.bn2, self.prelu2, self.conv3))
        return y if self.attention is None else self.attention(y)


class _Stem(mx.gluon.HybridBlock):
    """3x3 convolution with stride 2 and a 3x3 depthwise one."""

    def __init__(self, width, form, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.conv1 = _conv(3, width, 3, 2)
            self.bn1 = _bn(width)
            self.prelu1 = PReLU(width, form)
            self.conv2 = _conv(width, width, 3, depthwise=True)
            self.bn2 = _bn(width)
            self.prelu2 = PReLU(width, form)

    def hybrid_forward(self, F, x):
        """Return the output of `conv2`; its BatchNorm and PReLU go with the next convolution."""
        return bn_prelu_conv(F, self.conv1(x), self.bn1, self.prelu1, self.conv2)


class _Final(mx.gluon.HybridBlock):
    """1x1 convolution to the width of the head; holds its BatchNorm and PReLU."""

    def __init__(self, inputs, outputs, form, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.conv = _conv(inputs, outputs)
            self.bn = _bn(outputs)
            self.prelu = PReLU(outputs, form)

    def hybrid_forward(self, F, x):
        return self.conv(x)


class MobileFaceNet(Backbone):
    """MobileFaceNet.

    Parameters
    ----------
    cfg : ModelCfg
    prelu : {"fast", "elementwise", "plain"}, default "fast"
        Form of the PReLUs, see `gluonface.nn.PReLU`.
    attention : callable, optional
        Takes a number of channels and returns the block that follows every projection.
    """

    def __init__(self, cfg, prelu="fast", attention=None, **kwargs):
        super().__init__(cfg, **kwargs)
        with self.name_scope():
            self.stem = _Stem(64, prelu)
            self.stages = mx.gluon.nn.HybridSequential()
            width = 64
            for blocks, expanded, outputs, stride in STAGES:
                for _ in range(blocks):
                    self.stages.add(
                        _Bottleneck(width, expanded, outputs, stride, stride == 1, prelu, attention)
                    )
                    width = outputs
            self.final = _Final(width, 512, prelu)
            self.head = GDC(512, cfg.embedding_size)

    def embed(self, F, x):
        """Return embeddings (N, D) of preprocessed images `x` (N, 3, 112, 112)."""
        stem, final, head = self.stem, self.final, self.head
        first, *stages = self.stages
        x = bn_prelu_conv(F, stem(x), stem.bn2, stem.prelu2, first.conv1)
        x = first.after_conv1(F, x)
        for bottleneck in stages:
            x = bottleneck(x)
        return head.after_conv(bn_prelu_conv(F, final(x), final.bn, final.prelu, head.conv))


@register(
    ModelCfg(
        name="mobilefacenet",
        embedding_size=128,
        params=1_003_136,
        macs=220_965_376,
        params_per_dim=514,
        macs_per_dim=512,
        paper="https://arxiv.org/abs/1804.07573",
        source="https://github.com/cavalleria/cavaface",
        note="Loads InsightFace's MXNet MobileFaceNet (y1) through `gluonface import`.",
    ),
    aliases=("mobilefacenet_y1", "mobilefacenet-y1", "mobile_facenet"),
)
def mobilefacenet(cfg, **kwargs):
    """Return a MobileFaceNet; the default embedding has 128 dimensions."""
    return MobileFaceNet(cfg, **kwargs)


def _register(attention, params, macs, paper):
    name = attention.__name__

    @register(
        cavaface(
            f"mobilefacenet_{name.lower()}",
            params,
            macs,
            paper,
            note=f"MobileFaceNet with {name} after each of its 15 bottlenecks.",
        ),
        aliases=(f"mobilefacenet-{name}",),
    )
    def build(cfg, **kwargs):
        return MobileFaceNet(cfg, attention=attention, **kwargs)


_register(SE, 1_225_252, 221_185_024, "https://arxiv.org/abs/1709.01507")
_register(ECA, 1_200_577, 221_169_344, "https://arxiv.org/abs/1910.03151")
_register(CBAM, 1_226_752, 221_741_086, "https://arxiv.org/abs/1807.06521")
_register(GCT, 1_205_312, 221_161_984, "https://arxiv.org/abs/1909.11519")
