"""ProxylessNAS (Cai et al., 2019, https://arxiv.org/abs/1812.00332) for faces.

As cavaface has it: no stride in the stem, PReLU there and before the head, ReLU6 in the units.
"""

from ..nn import ConvBN, MobileHead, ReLU6
from ._base import cavaface_cfg, register
from ._mobile import UNIFORM, Staged, inverted_residual

__all__ = []

EPS = 1e-3  # of the BatchNorms before the head

# Width of the stem, then of each stage its units: kernel, expansion, output width; figure 4 of
# the paper. The first unit of stages 2 to 5 has stride 2.
NETWORKS = {
    "mobile": (
        32,
        [(3, 1, 16)],
        [(5, 3, 32), (3, 3, 32)],
        [(7, 3, 40), (3, 3, 40), (5, 3, 40), (5, 3, 40)],
        [(7, 6, 80), *[(5, 3, 80)] * 3, (5, 6, 96), *[(5, 3, 96)] * 3],
        [*[(7, 6, 192)] * 2, *[(7, 3, 192)] * 2, (7, 6, 320)],
    ),
    "cpu": (
        40,
        [(3, 1, 24)],
        [(3, 6, 32), *[(3, 3, 32)] * 3],
        [(3, 6, 48), *[(3, 3, 48)] * 2, (5, 3, 48)],
        [(3, 6, 88), (3, 3, 88), (5, 6, 104), *[(3, 3, 104)] * 3],
        [(5, 6, 216), *[(5, 3, 216)] * 2, (3, 3, 216), (5, 6, 360)],
    ),
    "gpu": (
        40,
        [(3, 1, 24)],
        [(5, 3, 32)],
        [(7, 3, 56), (3, 3, 56)],
        [(7, 6, 112), (5, 3, 112), (5, 6, 128), (3, 3, 128), (5, 3, 128)],
        [*[(7, 6, 256)] * 3, (5, 6, 256), (7, 6, 432)],
    ),
}


def layers(act, embedding_size, name):
    """Return the blocks and the head."""
    width, *stages = NETWORKS[name]
    stem = [ConvBN(3, width, 3, act=act(width), eps=EPS)]
    blocks = []
    for number, units in enumerate(stages):
        for i, (kernel, expansion, outputs) in enumerate(units):
            stride = 2 if number and not i else 1
            unit = (width, expansion, outputs, kernel, stride, stem)
            blocks.append(inverted_residual(lambda channels: ReLU6(), *unit, eps=EPS))
            stem, width = [], outputs
    return blocks, MobileHead(width, 512, embedding_size, act(512), eps=EPS)


def _register(name, params, macs):
    @register(
        cavaface_cfg(f"proxylessnas_{name}", params, macs, "https://arxiv.org/abs/1812.00332"),
        aliases=(f"proxyless_{name}",),
    )
    def build(cfg, **kwargs):
        return Staged(cfg, layers, options={"name": name}, **UNIFORM, **kwargs)


_register("mobile", 2_842_040, 307_392_576)
_register("cpu", 2_885_440, 421_870_296)
_register("gpu", 5_152_936, 438_079_104)
