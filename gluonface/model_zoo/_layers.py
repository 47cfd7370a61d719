"""Layers, residual units and stages as several families have them."""

from .._compat import mx
from ..nn import conv

__all__ = [
    "Residual",
    "add_shortcut",
    "bn",
    "conv",
    "projection",
    "relu",
    "residual_stages",
    "sequence",
]


def bn(channels, **kwargs):
    """Return a BatchNorm of a map."""
    return mx.gluon.nn.BatchNorm(in_channels=channels, **kwargs)


def relu():
    """Return a ReLU."""
    return mx.gluon.nn.Activation("relu")


def sequence(*blocks):
    """Return blocks as one, called one after another."""
    result = mx.gluon.nn.HybridSequential()
    result.add(*blocks)
    return result


def projection(inputs, outputs, stride=1):
    """Return a shortcut of 1x1 convolution and BatchNorm, or None where the channels stay."""
    if inputs == outputs:
        return None
    return sequence(conv(inputs, outputs, 1, stride), bn(outputs))


def add_shortcut(F, x, y, shortcut, stride):
    """Return `y` plus the input `x` of its unit, by `shortcut` or else every `stride`-th pixel."""
    if shortcut is not None:
        x = shortcut(x)
    elif stride > 1:
        x = F.Pooling(x, kernel=(1, 1), stride=(stride,) * 2, pool_type="max")
    return F.elemwise_add(y, x)


class Residual(mx.gluon.HybridBlock):
    """Template: ReLU of `body` plus `shortcut`, which is None where it is the input itself."""

    def hybrid_forward(self, F, x):
        """Return the map of `x`."""
        shortcut = x if self.shortcut is None else self.shortcut(x)
        return F.relu(F.elemwise_add(self.body(x), shortcut))


def residual_stages(unit, inputs, counts, outputs, halve_first=False):
    """Return stages of residual units, each in a sequence of its own.

    Parameters
    ----------
    unit : callable
        ``unit(inputs, outputs, stride)`` returns a block.
    inputs : int
        Channels of the map that the first stage takes.
    counts, outputs : sequence of int
        Units and output channels of each stage. The first unit of a stage halves the map.
    halve_first : bool, default False
        Whether that of the first stage does so too.
    """
    stages = sequence()
    for i, (count, width) in enumerate(zip(counts, outputs)):
        stage = sequence()
        for j in range(count):
            stage.add(unit(inputs, width, 2 if not j and (i or halve_first) else 1))
            inputs = width
        stages.add(stage)
    return stages
