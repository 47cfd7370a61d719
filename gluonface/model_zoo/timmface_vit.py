"""Plain vision transformers (Dosovitskiy et al., 2021, https://arxiv.org/abs/2010.11929).

As timm-face trains them on faces: 196 patches of 8x8 pixels. The embedding is a linear layer of the
class token, or of the mean of all tokens.
"""

from .._compat import mx
from ..nn import TransformerBlock, linear
from ._base import Backbone, cavaface_cfg, register

__all__ = ["TimmFaceViT"]

PATCH, SIDE = 8, 14
EPS = 1e-6  # of the LayerNorms

# name, width, heads, whether there is a class token, parameters, multiply-accumulates
TABLE = (
    ("tiny_patch8", 192, 3, True, 5_512_640, 1_053_081_600),
    ("small_patch8_gap", 384, 6, False, 21_640_832, 4_176_445_440),
)
DEPTH = 12


class TimmFaceViT(Backbone):
    """Vision transformer with or without a class token.

    Parameters
    ----------
    cfg : ModelCfg
    width, heads : int
        Numbers of a token; heads of attention.
    class_token : bool
        Whether the embedding is of the class token; else it is of the mean of all.
    depth : int, default 12
        Blocks.
    prelu : str
        Without effect: there is no PReLU.
    """

    def __init__(self, cfg, width, heads, class_token, depth=DEPTH, prelu="fast", **kwargs):
        super().__init__(cfg, **kwargs)
        del prelu
        normal = mx.initializer.Normal(0.02)
        with self.name_scope():
            self.patches = mx.gluon.nn.Conv2D(
                width,
                PATCH,
                strides=PATCH,
                in_channels=3,
                weight_initializer=mx.initializer.Xavier("uniform", "in", 1),
                bias_initializer=mx.initializer.Uniform((3 * PATCH * PATCH) ** -0.5),
            )
            self.class_token = None
            if class_token:
                start = mx.initializer.Normal(1e-6)
                self.class_token = self.params.get("class_token", shape=(1, 1, width), init=start)
            shape = (1, SIDE * SIDE + class_token, width)
            self.positions = self.params.get("positions", shape=shape, init=normal)
            self.blocks = mx.gluon.nn.HybridSequential()
            for _ in range(depth):
                self.blocks.add(TransformerBlock(width, heads, 4 * width))
            self.norm = mx.gluon.nn.LayerNorm(epsilon=EPS, in_channels=width)
            self.fc = linear(width, cfg.embedding_size)

        def start(block):
            if isinstance(block, mx.gluon.nn.Dense):
                block.weight.init = normal

        self.apply(start)

    def hybrid_forward(self, F, x, positions, class_token=None):
        """Return embeddings (N, D) of images `x` (N, 3, 112, 112) with values 0..255."""
        x = self.patches((x - self.cfg.mean) * self.cfg.scale)
        x = F.transpose(F.reshape(x, (0, 0, -3)), (0, 2, 1))
        if class_token is not None:
            one = F.slice_axis(x, axis=1, begin=0, end=1)
            x = F.concat(F.broadcast_like(class_token, one), x, dim=1)
        x = self.blocks(F.broadcast_add(x, positions))
        if class_token is None:
            x = F.mean(x, axis=1)
        else:  # a LayerNorm is of each token alone
            x = F.reshape(F.slice_axis(x, axis=1, begin=0, end=1), (0, -3))
        return self.fc(self.norm(x))


def _register(name, width, heads, class_token, params, macs):
    @register(
        cavaface_cfg(
            f"timmface_vit_{name}",
            *(params, macs, "https://arxiv.org/abs/2010.11929"),
            inputs=width,
            learned=1,
            source="https://github.com/gau-nernst/timm-face",
            note="Multiply-accumulates without the products of attention.",
        ),
        aliases=(f"timmface-vit-{name}".replace("_", "-"),),
    )
    def build(cfg, **kwargs):
        return TimmFaceViT(cfg, width, heads, class_token, **kwargs)


for _row in TABLE:
    _register(*_row)
