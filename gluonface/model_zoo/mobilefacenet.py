"""MobileFaceNet (Chen et al., 2018, https://arxiv.org/abs/1804.07573), plain and with attention.

Inverted residuals with per-channel PReLU and a global depthwise convolution as the head. Layers
and counts follow cavaface's implementation, which is InsightFace's ``fmobilefacenet`` ("y1") but
for the bias that the latter has before its last BatchNorm, where it has no effect in training.
"""

from ..nn import CBAM, ECA, GCT, GDC, SE, Layers, PReLU, in_order
from ._base import Backbone, ModelCfg, cavaface_cfg, register
from ._layers import bn, conv, sequence

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


class _Stem(Layers):
    """3x3 convolution with stride 2 and a 3x3 depthwise one."""

    def __init__(self, width, form, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.conv1 = conv(3, width, 3, 2)
            self.bn1 = bn(width)
            self.prelu1 = PReLU(width, form)
            self.conv2 = conv(width, width, 3, groups=width)
            self.bn2 = bn(width)
            self.prelu2 = PReLU(width, form)


class _Bottleneck(Layers):
    """1x1 expansion, 3x3 depthwise, linear 1x1 projection, attention; with stride 1 the input."""

    def __init__(self, inputs, width, outputs, stride, form, attention, **kwargs):
        super().__init__(**kwargs)
        self.residual = stride == 1
        with self.name_scope():
            self.conv1 = conv(inputs, width)
            self.bn1 = bn(width)
            self.prelu1 = PReLU(width, form)
            self.conv2 = conv(width, width, 3, stride, groups=width)
            self.bn2 = bn(width)
            self.prelu2 = PReLU(width, form)
            self.conv3 = conv(width, outputs)
            self.bn3 = bn(outputs)
            self.attention = attention(outputs) if attention else None


class _Final(Layers):
    """1x1 convolution to the width of the head."""

    def __init__(self, inputs, outputs, form, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.conv = conv(inputs, outputs)
            self.bn = bn(outputs)
            self.prelu = PReLU(outputs, form)


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
            self.stages = sequence()
            width = 64
            for blocks, expanded, outputs, stride in STAGES:
                for _ in range(blocks):
                    self.stages.add(_Bottleneck(width, expanded, outputs, stride, prelu, attention))
                    width = outputs
            self.final = _Final(width, 512, prelu)
            self.head = GDC(512, cfg.embedding_size)

    def embed(self, F, x):
        """Return embeddings (N, D) of preprocessed images `x` (N, 3, 112, 112)."""
        return in_order(F, x, self.stem, *self.stages, self.final, self.head)


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
        cavaface_cfg(
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
