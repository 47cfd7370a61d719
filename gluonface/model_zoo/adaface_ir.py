"""IR networks of AdaFace and CVLface (Kim et al., 2022, https://arxiv.org/abs/2204.00964).

Their unit is a third kind beside those of `ir` and `iresnet`: a BatchNorm between the first
convolution and the PReLU as in `iresnet`, but no projection in the first unit of the first stage,
which drops every other row and column as in `ir`. The last BatchNorm has neither gamma nor beta.

What is here is the network before its last step, which divides by the length of the embedding.
"""

import functools

from ..nn import FCHead, PReLU, in_order
from ._base import Backbone, cavaface_cfg, register
from ._layers import bn, conv, residual_stages, sequence
from .ir import IRUnit

__all__ = ["AdaFaceIR", "AdaFaceUnit"]

WIDTHS = (64, 64, 128, 256, 512)  # stem and stages

# depth, units of each stage, (parameters, multiply-accumulates) of IR and, if there is one, of
# IR-SE. The 101 is called 100 in their code.
TABLE = (
    (18, (2, 2, 2, 2), (24_020_352, 2_597_109_760), None),
    (34, (3, 4, 6, 3), (34_134_080, 4_446_797_824), None),
    (50, (3, 4, 14, 3), (43_585_600, 6_296_485_888), (43_808_320, 6_296_708_608)),
    (101, (3, 13, 30, 3), (65_150_912, 12_076_761_088), None),
)


class AdaFaceUnit(IRUnit):
    """BatchNorm, 3x3, BatchNorm, PReLU, 3x3 with the stride, BatchNorm, perhaps SE; plus shortcut.

    Its parameters are those of `IRUnit`.
    """

    def _add_body(self, inputs, outputs, stride, form):
        self.bn1 = bn(inputs)
        self.conv1 = conv(inputs, outputs, 3)
        self.bn2 = bn(outputs)
        self.prelu = PReLU(outputs, form)
        self.conv2 = conv(outputs, outputs, 3, stride)
        self.bn3 = bn(outputs)

    def _body(self, F, x):
        body = (self.bn1, self.conv1, self.bn2, self.prelu, self.conv2, self.bn3)
        return in_order(F, x, *body)


class AdaFaceIR(Backbone):
    """AdaFace's IR or IR-SE, as its 18, 34, 50 and 101 layers are.

    Parameters
    ----------
    cfg, units, se
        As for `IR`.
    widths : sequence of five int, default (64, 64, 128, 256, 512)
        Channels of the stem and of each stage.
    """

    def __init__(self, cfg, units, se=False, widths=WIDTHS, prelu="fast", **kwargs):
        super().__init__(cfg, **kwargs)
        stem, *stages = widths
        with self.name_scope():
            self.stem = sequence(conv(3, stem, 3), bn(stem), PReLU(stem, prelu))
            unit = functools.partial(AdaFaceUnit, se=se, form=prelu)
            self.stages = residual_stages(unit, stem, units, stages, halve_first=True)
            self.head = FCHead(stages[-1], cfg.embedding_size, scale=False, center=False)


def _register(depth, units, se, params, macs):
    kind = "adaface_ir_se" if se else "adaface_ir"

    @register(
        cavaface_cfg(
            f"{kind}_{depth}",
            params,
            macs,
            "https://arxiv.org/abs/2204.00964",
            inputs=512 * 49,
            learned=1,
            source="https://github.com/mk-minchul/AdaFace",
            note="AdaFace's checkpoints take BGR. For CVLface's see their config.json.",
        ),
        aliases=(f"{kind}{depth}", f"{kind}-{depth}".replace("_", "-")),
    )
    def build(cfg, **kwargs):
        return AdaFaceIR(cfg, units, se, **kwargs)


for _depth, _units, _plain, _se in TABLE:
    _register(_depth, _units, False, *_plain)
    if _se:
        _register(_depth, _units, True, *_se)
