"""Vision transformers for faces (An et al., 2022, https://arxiv.org/abs/2203.15565).

As InsightFace's ``arcface_torch`` has them: 144 patches of 9x9 pixels, no class token, ReLU6 in
the hidden layers, and the embedding from all tokens at once. In training a tenth of the tokens is
masked and blocks are dropped at random.
"""

from .._compat import mx
from ..nn import FlatBatchNorm, is_export
from ._base import Backbone, ModelCfg, register

__all__ = ["VisionTransformer"]

PATCH, SIDE, HEADS = 9, 12, 8
TOKENS = SIDE * SIDE
HIDDEN = 4  # times the width
EPS = 2e-5  # of the BatchNorms
# The reference calls its masking without the configured ratio, so this one always holds.
MASKED = TOKENS - int(TOKENS * 0.9)
# Far below any score of attention, and finite in float16.
_NEVER = 3e4

# name, width, blocks, largest share of dropped blocks, parameters, multiply-accumulates
TABLE = (
    ("t", 256, 12, 0.1, 19_137_792, 1_377_480_704),
    ("s", 512, 12, 0.1, 76_023_296, 5_491_744_768),
    ("b", 512, 24, 0.1, 113_833_472, 10_927_562_752),
    ("l", 768, 24, 0.05, 255_684_352, 24_573_382_656),
)


def _dense(inputs, outputs, **kwargs):
    return mx.gluon.nn.Dense(outputs, flatten=False, in_units=inputs, **kwargs)


class _Attention(mx.gluon.HybridBlock):
    """Self-attention with 8 heads; the others do not attend to masked tokens."""

    def __init__(self, width, **kwargs):
        super().__init__(**kwargs)
        self.scale = (width // HEADS) ** -0.5
        with self.name_scope():
            self.qkv = _dense(width, 3 * width, use_bias=False)
            self.proj = _dense(width, width)

    def hybrid_forward(self, F, x, unseen=None):
        def heads(y):
            """Return (N * HEADS, TOKENS, width / HEADS) of (N, TOKENS, width)."""
            y = F.transpose(F.reshape(y, (0, 0, HEADS, -1)), (0, 2, 1, 3))
            return F.reshape(y, (-3, 0, 0))

        q, k, v = (heads(y) for y in F.split(self.qkv(x), num_outputs=3, axis=2))
        scores = F.batch_dot(q * self.scale, k, transpose_b=True)
        if unseen is not None:
            scores = F.broadcast_sub(scores, unseen)
        y = F.batch_dot(F.softmax(scores, axis=-1), v)
        y = F.transpose(F.reshape(y, (-4, -1, HEADS, 0, 0)), (0, 2, 1, 3))
        return self.proj(F.reshape(y, (0, 0, -3)))


class _Block(mx.gluon.HybridBlock):
    """Attention, then two linear layers; both after a LayerNorm, and added to their input."""

    def __init__(self, width, drop, **kwargs):
        super().__init__(**kwargs)
        self.drop = drop
        with self.name_scope():
            self.norm1 = mx.gluon.nn.LayerNorm(in_channels=width)
            self.attention = _Attention(width)
            self.norm2 = mx.gluon.nn.LayerNorm(in_channels=width)
            self.fc1 = _dense(width, HIDDEN * width)
            self.fc2 = _dense(HIDDEN * width, width)

    def hybrid_forward(self, F, x, unseen=None):
        x = F.elemwise_add(x, self.path(F, self.attention(self.norm1(x), unseen)))
        y = self.fc2(F.clip(self.fc1(self.norm2(x)), 0, 6))
        return F.elemwise_add(x, self.path(F, y))

    def path(self, F, y):
        """Return `y`, in training 0 for a share of the samples and scaled up for the others."""
        return F.Dropout(y, p=self.drop, axes=(1, 2)) if self.drop else y


class VisionTransformer(Backbone):
    """Vision transformer.

    Parameters
    ----------
    cfg : ModelCfg
    width, depth : int
        Numbers of a token; blocks.
    drop : float
        Share of samples that skip the last block in training; it grows linearly from 0.
    prelu : str
        Without effect: there is no PReLU.

    Notes
    -----
    The reference removes masked tokens before the blocks and puts the mask token in their place
    after them. Here they stay, and the others do not attend to them, which gives the same embedding
    in one graph for training and inference.
    """

    def __init__(self, cfg, width, depth, drop, prelu="fast", **kwargs):
        super().__init__(cfg, **kwargs)
        del prelu
        default = mx.initializer.Xavier("uniform", "in", 1)
        normal = mx.initializer.Normal(0.02)
        with self.name_scope():
            self.patches = mx.gluon.nn.Conv2D(
                width,
                PATCH,
                strides=PATCH,
                in_channels=3,
                weight_initializer=default,
                bias_initializer=mx.initializer.Uniform((3 * PATCH * PATCH) ** -0.5),
            )
            self.positions = self.params.get("positions", shape=(1, TOKENS, width), init=normal)
            self.mask_token = self.params.get("mask_token", shape=(1, 1, width), init=normal)
            self.blocks = mx.gluon.nn.HybridSequential()
            for i in range(depth):
                self.blocks.add(_Block(width, drop * i / (depth - 1)))
            self.norm = mx.gluon.nn.LayerNorm(in_channels=width)
            self.fc1 = mx.gluon.nn.Dense(width, use_bias=False, in_units=TOKENS * width)
            self.bn1 = FlatBatchNorm(epsilon=EPS, in_channels=width)
            self.fc2 = mx.gluon.nn.Dense(cfg.embedding_size, use_bias=False, in_units=width)
            self.bn2 = FlatBatchNorm(epsilon=EPS, in_channels=cfg.embedding_size)

        def start(block):
            if isinstance(block, mx.gluon.nn.Dense):
                block.weight.init = normal

        self.apply(start)

    def hybrid_forward(self, F, x, positions, mask_token):
        """Return embeddings (N, D) of images `x` (N, 3, 112, 112) with values 0..255."""
        x = self.patches((x - self.cfg.mean) * self.cfg.scale)
        x = F.transpose(F.reshape(x, (0, 0, -3)), (0, 2, 1))
        x = F.broadcast_add(x, positions)
        masked = None if is_export() else self.masked(F, x)
        unseen = None
        if masked is not None:  # (N * HEADS, 1, TOKENS)
            unseen = F.repeat(F.transpose(masked, (0, 2, 1)), repeats=HEADS, axis=0) * _NEVER
        for block in self.blocks:
            x = block(x) if unseen is None else block(x, unseen)
        x = self.norm(x)
        if masked is not None:
            token = F.broadcast_mul(masked, mask_token)
            x = F.broadcast_mul(x, 1 - masked) + token
        return self.bn2(self.fc2(self.bn1(self.fc1(x))))

    def masked(self, F, x):
        """Return (N, TOKENS, 1): 1 for the `MASKED` random tokens of each sample, in training.

        In inference all are 0. One graph serves both, and of its operators only Dropout differs: a
        Dropout of one half turns 1 into 0 or 2 in training alone.
        """
        one = F.ones_like(F.slice_axis(x, axis=2, begin=0, end=1))
        # In the order in which the graph is executed, so that the same seed gives the same mask
        # hybridized or not.
        noise = F.random.uniform_like(one)
        chosen = F.topk(noise, axis=1, k=MASKED, ret_typ="mask")
        training = F.Dropout(F.stop_gradient(one), p=0.5) != 1
        return F.stop_gradient(chosen * training)


def _register(name, width, depth, drop, params, macs):
    @register(
        ModelCfg(
            name=f"vit_{name}",
            embedding_size=512,
            params=params,
            macs=macs,
            params_per_dim=width + 2,
            macs_per_dim=width,
            paper="https://arxiv.org/abs/2203.15565",
            source="https://github.com/deepinsight/insightface",
            note="Multiply-accumulates without the products of attention. The last 4 rows and "
            "columns of the image are not used.",
            scale=1 / 127.5,
        ),
        aliases=(f"vit-{name}",),
    )
    def build(cfg, **kwargs):
        return VisionTransformer(cfg, width, depth, drop, **kwargs)


for _row in TABLE:
    _register(*_row)
