"""IR and IR-SE residual networks as cavaface has them (after ArcFace's ResNet "IR").

They differ from `iresnet` in two places: no BatchNorm between the first convolution of a unit and
its PReLU, and no projection in the first unit of the first stage, which only drops every other
row and column. The SE form scales what each unit adds (Hu et al., 2018).
"""

import functools

from .._compat import mx
from ..nn import SE, FCHead, PReLU
from ._base import Backbone, cavaface_cfg, register
from ._layers import add_shortcut, bn, conv, projection, residual_stages, sequence

__all__ = ["IR", "IRUnit"]

WIDTHS = (64, 128, 256, 512)

# depth, units of each stage, (parameters, multiply-accumulates) of IR and of IR-SE
TABLE = (
    (50, (3, 4, 14, 3), (43_574_464, 6_296_485_888), (43_797_184, 6_296_708_608)),
    (100, (3, 13, 30, 3), (65_129_280, 12_076_761_088), (65_501_504, 12_077_133_312)),
    (101, (3, 4, 23, 3), (54_202_816, 8_377_384_960), (54_499_264, 8_377_681_408)),
    (152, (3, 8, 36, 3), (70_737_088, 12_307_972_096), (71_148_224, 12_308_383_232)),
)


class IRUnit(mx.gluon.HybridBlock):
    """BatchNorm, 3x3, PReLU, 3x3 with the stride, BatchNorm, perhaps SE; plus the shortcut.

    Parameters
    ----------
    inputs, outputs : int
        Channels.
    stride : int, default 1
    se : bool, default False
    form : {"fast", "elementwise", "plain"}, default "fast"
        Of the PReLU.
    """

    def __init__(self, inputs, outputs, stride=1, se=False, form="fast", **kwargs):
        super().__init__(**kwargs)
        self.stride = stride
        with self.name_scope():
            self._add_body(inputs, outputs, stride, form)
            self.se = SE(outputs, bias=False) if se else None
            self.shortcut = projection(inputs, outputs, stride)

    def _add_body(self, inputs, outputs, stride, form):
        self.bn1 = bn(inputs)
        self.conv1 = conv(inputs, outputs, 3)
        self.prelu = PReLU(outputs, form)
        self.conv2 = conv(outputs, outputs, 3, stride)
        self.bn2 = bn(outputs)

    def _body(self, F, x):
        return self.bn2(self.conv2(self.prelu(self.conv1(self.bn1(x)))))

    def hybrid_forward(self, F, x):
        """Return the map (N, outputs, H / stride, W / stride) of `x` (N, inputs, H, W)."""
        y = self._body(F, x)
        if self.se is not None:
            y = self.se(y)
        return add_shortcut(F, x, y, self.shortcut, self.stride)


class IR(Backbone):
    """IR or IR-SE.

    Parameters
    ----------
    cfg : ModelCfg
    units : sequence of four int
        Units of each stage; the first of each halves the map.
    se : bool, default False
    """

    def __init__(self, cfg, units, se=False, prelu="fast", **kwargs):
        super().__init__(cfg, **kwargs)
        with self.name_scope():
            self.stem = sequence(conv(3, 64, 3), bn(64), PReLU(64, prelu))
            unit = functools.partial(IRUnit, se=se, form=prelu)
            self.stages = residual_stages(unit, 64, units, WIDTHS, halve_first=True)
            self.head = FCHead(WIDTHS[-1], cfg.embedding_size, scale=False)


def _register(depth, units, se, params, macs):
    kind = "ir_se" if se else "ir"

    @register(
        cavaface_cfg(
            f"{kind}_{depth}",
            params,
            macs,
            f"https://arxiv.org/abs/{'1709.01507' if se else '1801.07698'}",
            inputs=512 * 49,
        ),
        aliases=(f"{kind}-{depth}".replace("_", "-"), f"{kind}{depth}".replace("_", "")),
    )
    def build(cfg, **kwargs):
        return IR(cfg, units, se, **kwargs)


for _depth, _units, _plain, _se in TABLE:
    _register(_depth, _units, False, *_plain)
    _register(_depth, _units, True, *_se)
