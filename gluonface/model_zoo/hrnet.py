"""High-resolution network (Wang et al., 2019, https://arxiv.org/abs/1908.07919), cavaface's W18.

Branches at 56, 28, 14 and 7 pixels run side by side and exchange their maps after every module.
The stem halves a face once only.
"""

from .._compat import mx
from ..nn import FCHead
from ._base import Backbone, cavaface_cfg, register
from ._layers import Residual, bn, conv, projection, relu, sequence

__all__ = ["HRNet"]

HEAD_WIDTHS = (32, 64, 128, 256)
EXPANSION = 4


def _layer(inputs, outputs, kernel=1, stride=1, act=True, bias=False):
    """Return convolution, BatchNorm and, if `act`, ReLU, as a list."""
    layers = [conv(inputs, outputs, kernel, stride, bias=bias), bn(outputs)]
    return [*layers, relu()] if act else layers


class _Residual(Residual):
    """A residual unit of convolutions.

    Parameters
    ----------
    inputs : int
        Channels.
    *layers : (int, int)
        Output channels and kernel of each convolution.
    """

    def __init__(self, inputs, *layers, **kwargs):
        super().__init__(**kwargs)
        outputs, width, body = layers[-1][0], inputs, []
        with self.name_scope():
            for i, (channels, kernel) in enumerate(layers, 1):
                body += _layer(width, channels, kernel, act=i < len(layers))
                width = channels
            self.body = sequence(*body)
            self.shortcut = projection(inputs, outputs)


def _basic(width):
    """Return a unit of two 3x3 convolutions."""
    return _Residual(width, (width, 3), (width, 3))


def _bottleneck(inputs, width):
    """Return a unit of 1x1, 3x3 and 1x1 convolutions, with ``4 * width`` channels in the end."""
    return _Residual(inputs, (width, 1), (width, 3), (EXPANSION * width, 1))


class _Module(mx.gluon.HybridBlock):
    """Basic units on every branch, then every branch becomes the sum of all.

    Parameters
    ----------
    widths : sequence of int
        Channels of the branches, each at half the size of the one before.
    units : int
        Basic units per branch.
    """

    def __init__(self, widths, units, **kwargs):
        super().__init__(**kwargs)
        self.count = len(widths)
        with self.name_scope():
            self.branches = sequence(
                *(sequence(*(_basic(width) for _ in range(units))) for width in widths)
            )
            self.exchanges = sequence(
                *(
                    self._exchange(widths, source, target)
                    for target in range(self.count)
                    for source in range(self.count)
                    if source != target
                )
            )

    @staticmethod
    def _exchange(widths, source, target):
        """Return what brings one branch to the size and channels of another."""
        inputs, outputs = widths[source], widths[target]
        if source > target:
            return sequence(*_layer(inputs, outputs, act=False))
        steps = []
        for _ in range(target - source - 1):
            steps += _layer(inputs, inputs, 3, 2)
        return sequence(*steps, *_layer(inputs, outputs, 3, 2, act=False))

    def hybrid_forward(self, F, *maps):
        maps = [branch(x) for branch, x in zip(self.branches, maps)]
        exchanges, result = iter(self.exchanges), []
        for target in range(self.count):
            terms = []
            for source in range(self.count):
                x = maps[source]
                if source != target:
                    x = next(exchanges)(x)
                if source > target:
                    x = F.UpSampling(x, scale=1 << (source - target), sample_type="nearest")
                terms.append(x)
            result.append(F.relu(F.add_n(*terms)))
        return result


class _Pyramid(mx.gluon.HybridBlock):
    """One bottleneck per branch, then all branches gathered in the smallest map."""

    def __init__(self, widths, **kwargs):
        super().__init__(**kwargs)
        wide = [EXPANSION * width for width in HEAD_WIDTHS]
        with self.name_scope():
            self.widen = sequence(*(_bottleneck(*pair) for pair in zip(widths, HEAD_WIDTHS)))
            self.downs = sequence(
                *(
                    sequence(*_layer(before, after, 3, 2, bias=True))
                    for before, after in zip(wide, wide[1:])
                )
            )

    def hybrid_forward(self, F, *maps):
        first, *others = (unit(x) for unit, x in zip(self.widen, maps))
        for down, x in zip(self.downs, others):
            first = F.elemwise_add(x, down(first))
        return first


class HRNet(Backbone):
    """HRNet with four branches.

    Parameters
    ----------
    cfg : ModelCfg
    width : int
        Channels of the largest branch; they double from branch to branch.
    bottlenecks, bottleneck_width : int
        Of the first stage.
    modules : sequence of three int
        Modules with two, three and four branches.
    units : int
        Basic units per branch and module.
    """

    def __init__(
        self,
        cfg,
        width,
        bottlenecks=4,
        bottleneck_width=64,
        modules=(1, 4, 3),
        units=4,
        prelu="fast",
        **kwargs,
    ):
        super().__init__(cfg, **kwargs)
        widths = [width << i for i in range(4)]
        wide = EXPANSION * bottleneck_width
        with self.name_scope():
            self.stem = sequence(*_layer(3, 64, 3), *_layer(64, 64, 3, 2))
            self.first = sequence(
                *(_bottleneck(wide if i else 64, bottleneck_width) for i in range(bottlenecks))
            )
            self.split = sequence(
                sequence(*_layer(wide, width, 3)), sequence(*_layer(wide, widths[1], 3, 2))
            )
            # What begins the third and the fourth branch.
            self.forks = sequence(
                *(sequence(*_layer(widths[i], widths[i + 1], 3, 2)) for i in (1, 2))
            )
            self.stages = sequence(
                *(
                    sequence(*(_Module(widths[: i + 2], units) for _ in range(count)))
                    for i, count in enumerate(modules)
                )
            )
            self.pyramid = _Pyramid(widths)
            channels = EXPANSION * HEAD_WIDTHS[-1]
            self.head = FCHead(
                channels, cfg.embedding_size, scale=False, center=False, uniform=True
            )

    def embed(self, F, x):
        """Return embeddings (N, D) of preprocessed images `x` (N, 3, 112, 112)."""
        return self.head(self.pyramid(*self.branches(x)))

    def branches(self, x):
        """Return the maps of the four branches."""
        x = self.first(self.stem(x))
        maps = [transition(x) for transition in self.split]
        for i, stage in enumerate(self.stages):
            if i:
                maps.append(self.forks[i - 1](maps[-1]))
            for module in stage:
                maps = module(*maps)
        return maps


@register(
    cavaface_cfg(
        "hrnet_w18",
        42_839_380,
        4_204_418_736,
        "https://arxiv.org/abs/1908.07919",
        inputs=1024 * 49,
        learned=1,
    ),
    aliases=("hrnet-w18", "hrnetw18", "hrnet"),
)
def hrnet_w18(cfg, **kwargs):
    """Return an HRNet-W18."""
    return HRNet(cfg, 18, **kwargs)
