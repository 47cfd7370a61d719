"""Blocks, starting values and the template that the mobile families share."""

from __future__ import annotations

import functools
import typing

from .._compat import mx
from ..nn import Chain, ConvBN, PReLU
from ._base import Backbone, ModelCfg

__all__ = ["KAIMING_UNIFORM", "UNIFORM", "Staged", "inverted_residual", "rounded"]

KAIMING_UNIFORM = ("uniform", "in", 6)  # of variance 2 / fan_in
# Of references that draw convolutions so and leave linear layers to PyTorch, which gives them the
# variance 1 / (3 fan_in).
UNIFORM: dict[str, typing.Any] = {"conv_init": KAIMING_UNIFORM, "linear_init": ("uniform", "in", 1)}


class Staged(Backbone):
    """Blocks that are called one after another, and a head.

    Parameters
    ----------
    cfg : ModelCfg
    layers : callable
        ``layers(act, embedding_size, **options)`` returns the list of blocks and the head;
        ``act(channels)`` returns a PReLU.
    conv_init, linear_init : tuple, optional
        Arguments of `mxnet.initializer.Xavier` for the weights of convolutions and of linear
        layers; default `gluonface.model_zoo.initializer`.
    options : dict, optional
        Of `layers`.
    """

    def __init__(
        self,
        cfg: ModelCfg,
        layers: typing.Callable,
        prelu: str = "fast",
        conv_init: tuple | None = None,
        linear_init: tuple | None = None,
        options: dict[str, typing.Any] | None = None,
        **kwargs,
    ):
        super().__init__(cfg, **kwargs)
        with self.name_scope():
            self.stages = mx.gluon.nn.HybridSequential()
            act = functools.partial(PReLU, form=prelu)
            blocks, self.head = layers(act, cfg.embedding_size, **options or {})
            self.stages.add(*blocks)

        def start(block):
            init = linear_init if isinstance(block, mx.gluon.nn.Dense) else conv_init
            if init and isinstance(block, (mx.gluon.nn.Dense, mx.gluon.nn.Conv2D)):
                block.weight.init = mx.initializer.Xavier(*init)

        self.apply(start)

    def embed(self, F, x):
        """Return embeddings (N, D) of preprocessed images `x` (N, 3, 112, 112)."""
        return self.head(self.stages(x))


def inverted_residual(
    act, inputs, expansion, outputs, kernel=3, stride=1, stem=(), attention=None, eps=1e-5
):
    """Return 1x1 expansion, depthwise convolution and linear 1x1 projection as a `Chain`.

    Parameters
    ----------
    act : callable
        ``act(channels)`` returns an activation.
    inputs, outputs : int
        Channels.
    expansion : int
        The depthwise convolution has so many times the input's channels. With 1 it is the first.
    kernel, stride : int
        Of the depthwise convolution.
    stem : sequence of HybridBlock
        Blocks before these in the chain.
    attention : callable, optional
        ``attention(channels)`` returns the block after the depthwise convolution.
    eps : float, default 1e-5
        Of the BatchNorms.
    """
    blocks, wide = [*stem], expansion * inputs
    if expansion > 1:
        blocks.append(ConvBN(inputs, wide, act=act(wide), eps=eps))
    blocks.append(ConvBN(wide, wide, kernel, stride, groups=wide, act=act(wide), eps=eps))
    if attention:
        blocks.append(attention(wide))
    blocks.append(ConvBN(wide, outputs, eps=eps))
    return Chain(*blocks, residual=stride == 1 and inputs == outputs)


def rounded(width: float, divisor: int = 8) -> int:
    """Return the multiple of `divisor` nearest to a width, but no less than 90% of it."""
    result = max(divisor, int((width + divisor / 2) // divisor * divisor))
    return result + divisor if result < 0.9 * width else result
