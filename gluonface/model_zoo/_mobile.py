"""What the mobile families share."""

import functools

from .._compat import mx
from ..nn import PReLU
from ._base import Backbone, ModelCfg

__all__ = ["KAIMING_UNIFORM", "UNIFORM", "Staged", "cavaface", "rounded"]

KAIMING_UNIFORM = ("uniform", "in", 6)  # of variance 2 / fan_in
# How a `Staged` starts whose reference draws convolutions so and says nothing of linear layers,
# which PyTorch then gives the variance 1 / (3 fan_in).
UNIFORM = {"conv_init": KAIMING_UNIFORM, "linear_init": ("uniform", "in", 1)}


class Staged(Backbone):
    """Blocks in a row and a head.

    Parameters
    ----------
    cfg : ModelCfg
    layers : callable
        ``layers(act, embedding_size)`` returns the list of blocks and the head; ``act(channels)``
        makes a PReLU.
    prelu : {"fast", "elementwise", "plain"}, default "fast"
        Form of the PReLUs, see `gluonface.nn.PReLU`.
    conv_init, linear_init : tuple, optional
        Arguments of `mxnet.initializer.Xavier`, where the weights of convolutions or linear
        layers start otherwise than in the rest of the zoo.
    """

    def __init__(self, cfg, layers, prelu="fast", conv_init=None, linear_init=None, **kwargs):
        super().__init__(cfg, **kwargs)
        with self.name_scope():
            self.stages = mx.gluon.nn.HybridSequential()
            act = functools.partial(PReLU, form=prelu)
            blocks, self.head = layers(act, cfg.embedding_size)
            self.stages.add(*blocks)

        def start(block):
            init = linear_init if isinstance(block, mx.gluon.nn.Dense) else conv_init
            if init and isinstance(block, (mx.gluon.nn.Dense, mx.gluon.nn.Conv2D)):
                block.weight.init = mx.initializer.Xavier(*init)

        self.apply(start)

    def embed(self, F, x):
        """Return embeddings (N, D) of preprocessed images `x` (N, 3, 112, 112)."""
        return self.head(self.stages(x))


def cavaface(name, params, macs, paper, width=512, **others):
    """Return the description of one of cavaface's networks with GDC of `width` as the head."""
    fields = {
        "params_per_dim": width + 2,
        "macs_per_dim": width,
        "source": "https://github.com/cavalleria/cavaface",
        "scale": 1 / 127.5,
        **others,
    }
    return ModelCfg(name, 512, params, macs, paper=paper, **fields)


def rounded(width, divisor=8):
    """Return the multiple of `divisor` nearest to a width, but no less than 90% of it."""
    result = max(divisor, int((width + divisor / 2) // divisor * divisor))
    return result + divisor if result < 0.9 * width else result
