"""Vision transformers for faces (An et al., 2022, https://arxiv.org/abs/2203.15565).

As InsightFace's ``arcface_torch`` has them: 144 patches of 9x9 pixels, no class token, ReLU6 in
the hidden layers, and the embedding from all tokens at once. In training a tenth of the tokens is
masked and blocks are dropped at random. CVLface's, the plain ones beside its KP-RPE, have 196
patches of 8x8 pixels, and no token is masked.
"""

import functools

from .._compat import mx
from ..nn import FlatBatchNorm, TransformerBlock, is_export
from ._base import Backbone, ModelCfg, register

__all__ = ["VisionTransformer"]

IMAGE = 112  # pixels of a side
EPS = 2e-5  # of the BatchNorms
# The reference calls its masking without the configured ratio, so this one always holds.
SEEN = 0.9
# Far below any score of attention, and finite in float16.
_NEVER = 3e4

# name, width, blocks, largest share of dropped blocks, parameters, multiply-accumulates
TABLE = (
    ("t", 256, 12, 0.1, 19_137_792, 1_377_480_704),
    ("s", 512, 12, 0.1, 76_023_296, 5_491_744_768),
    ("b", 512, 24, 0.1, 113_833_472, 10_927_562_752),
    ("l", 768, 24, 0.05, 255_684_352, 24_573_382_656),
)
# name, blocks, heads, hidden layer in widths, parameters, multiply-accumulates
CVLFACE = (
    ("small", 12, 8, 5, 95_952_384, 8_702_787_584),
    ("base", 24, 16, 3, 114_869_760, 12_402_163_712),
)


def _relu6(F, x):
    return F.clip(x, 0, 6)


class VisionTransformer(Backbone):
    """Vision transformer.

    Parameters
    ----------
    cfg : ModelCfg
    width, depth : int
        Numbers of a token; blocks.
    drop : float
        Share of samples that skip the last block in training; it grows linearly from 0.
    patch : int, default 9
        Rows and columns of a patch.
    heads : int, default 8
        Of attention.
    hidden : int, default 4
        Numbers of the hidden layer of a block, in widths.
    masks : bool, default True
        Whether a tenth of the tokens is masked in training.
    prelu : str
        Without effect: there is no PReLU.

    Notes
    -----
    The reference removes masked tokens before the blocks and puts the mask token in their place
    after them. Here they stay, and the others do not attend to them, which gives the same embedding
    in one graph for training and inference.
    """

    def __init__(
        self,
        cfg,
        width,
        depth,
        drop,
        patch=9,
        heads=8,
        hidden=4,
        masks=True,
        prelu="fast",
        **kwargs,
    ):
        super().__init__(cfg, **kwargs)
        del prelu
        self.tokens, self.heads, self.masks = (IMAGE // patch) ** 2, heads, masks
        default = mx.initializer.Xavier("uniform", "in", 1)
        normal = mx.initializer.Normal(0.02)
        with self.name_scope():
            self.patches = mx.gluon.nn.Conv2D(
                width,
                patch,
                strides=patch,
                in_channels=3,
                weight_initializer=default,
                bias_initializer=mx.initializer.Uniform((3 * patch * patch) ** -0.5),
            )
            shape = (1, self.tokens, width)
            self.positions = self.params.get("positions", shape=shape, init=normal)
            if masks:
                self.mask_token = self.params.get("mask_token", shape=(1, 1, width), init=normal)
            self.blocks = mx.gluon.nn.HybridSequential()
            block = functools.partial(
                *(TransformerBlock, width, heads, hidden * width), act=_relu6, bias=False, eps=1e-5
            )
            for i in range(depth):
                self.blocks.add(block(drop=drop * i / (depth - 1)))
            self.norm = mx.gluon.nn.LayerNorm(in_channels=width)
            self.fc1 = mx.gluon.nn.Dense(width, use_bias=False, in_units=self.tokens * width)
            self.bn1 = FlatBatchNorm(epsilon=EPS, in_channels=width)
            self.fc2 = mx.gluon.nn.Dense(cfg.embedding_size, use_bias=False, in_units=width)
            self.bn2 = FlatBatchNorm(epsilon=EPS, in_channels=cfg.embedding_size)

        def start(block):
            if isinstance(block, mx.gluon.nn.Dense):
                block.weight.init = normal

        self.apply(start)

    def hybrid_forward(self, F, x, positions, mask_token=None):
        """Return embeddings (N, D) of images `x` (N, 3, 112, 112) with values 0..255."""
        x = self.patches((x - self.cfg.mean) * self.cfg.scale)
        x = F.transpose(F.reshape(x, (0, 0, -3)), (0, 2, 1))
        x = F.broadcast_add(x, positions)
        masked = self.masked(F, x) if self.masks and not is_export() else None
        unseen = None
        if masked is not None:  # (N * heads, 1, tokens)
            unseen = F.repeat(F.transpose(masked, (0, 2, 1)), repeats=self.heads, axis=0) * _NEVER
        for block in self.blocks:
            x = block(x) if unseen is None else block(x, unseen)
        x = self.norm(x)
        if masked is not None:
            token = F.broadcast_mul(masked, mask_token)
            x = F.broadcast_mul(x, 1 - masked) + token
        return self.bn2(self.fc2(self.bn1(self.fc1(x))))

    def masked(self, F, x):
        """Return (N, tokens, 1): 1 for a tenth of the tokens of each sample, in training.

        In inference all are 0. One graph serves both, and of its operators only Dropout differs: a
        Dropout of one half turns 1 into 0 or 2 in training alone.
        """
        one = F.ones_like(F.slice_axis(x, axis=2, begin=0, end=1))
        # In the order in which the graph is executed, so that the same seed gives the same mask
        # hybridized or not.
        noise = F.random.uniform_like(one)
        count = self.tokens - int(self.tokens * SEEN)
        chosen = F.topk(noise, axis=1, k=count, ret_typ="mask")
        training = F.Dropout(F.stop_gradient(one), p=0.5) != 1
        return F.stop_gradient(chosen * training)


def _register(name, width, depth, drop, params, macs, *, source, note, **settings):
    alias = name.replace("_", "-")

    @register(
        ModelCfg(
            name=name,
            embedding_size=512,
            params=params,
            macs=macs,
            params_per_dim=width + 2,
            macs_per_dim=width,
            paper="https://arxiv.org/abs/2203.15565",
            source=source,
            note=f"Multiply-accumulates without the products of attention. {note}".strip(),
            scale=1 / 127.5,
        ),
        aliases=(alias,),
    )
    def build(cfg, **kwargs):
        return VisionTransformer(cfg, width, depth, drop, **settings, **kwargs)


for _name, *_row in TABLE:
    _register(
        f"vit_{_name}",
        *_row,
        source="https://github.com/deepinsight/insightface",
        note="The last 4 rows and columns of the image are not used.",
    )
for _name, _depth, _heads, _hidden, _params, _macs in CVLFACE:
    _register(
        *(f"cvlface_vit_{_name}", 512, _depth, 0.1, _params, _macs),
        source="https://github.com/mk-minchul/CVLface",
        note="CVLface's plain ViT, without KP-RPE.",
        patch=8,
        heads=_heads,
        hidden=_hidden,
        masks=False,
    )
