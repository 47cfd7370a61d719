"""What MixFaceNets calls the modules of its networks; see `cavaface`."""

from ...nn import Chain
from .modules import conv_unit, se

__all__ = ["FAMILIES"]


def _mixfacenet(net):
    yield from conv_unit("features.init_block.conv1", "stages.0")
    chains = [i for i, block in enumerate(net.stages) if isinstance(block, Chain)]
    yield from conv_unit("features.init_block.conv2.conv1", f"stages.{chains[0]}.0")
    yield from conv_unit("features.init_block.conv2.conv2", f"stages.{chains[0]}.1")
    counts = (2, 4, 3, 6) if len(chains) == 1 + 15 else (2, 4, 4, 8)
    names = [f"features.stage{s}.unit{u + 1}" for s, n in enumerate(counts, 1) for u in range(n)]
    for i, theirs in zip(chains[1:], names):
        chain, ours = net.stages[i], f"stages.{i}"
        last = len(chain) - 1
        for name, place in (("exp_conv", 0), ("conv1", 1), ("conv2", last)):
            yield from conv_unit(f"{theirs}.{name}", f"{ours}.{place}")
            for part in range(8):
                # A module per group of channels: ours is one convolution where kernels are equal.
                joined = (f"{ours}.{place}.conv", part) if name != "conv1" else None
                yield f"{theirs}.{name}.conv.{part}", joined or f"{ours}.{place}.convs.{part}"
        if last == 3:
            yield from se(f"{theirs}.se", f"{ours}.2")
    yield from conv_unit("tail", "head.final")
    yield from (
        ("feautre_layer.dw_conv.conv", "head.gdc.conv"),  # spelt so
        ("feautre_layer.dw_conv.bn", "head.gdc.bn1"),
        ("feautre_layer.pw_conv.conv", "head.gdc.fc"),
        ("features_norm", "head.gdc.bn2"),
    )


# By what the name of a backbone begins with.
FAMILIES = {"mixfacenet": _mixfacenet, "shufflemixfacenet": _mixfacenet}
