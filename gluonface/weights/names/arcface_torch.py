"""What arcface_torch calls the modules of the networks that we have from it.

Each function yields pairs of names of a module with tensors: theirs, and ours.
"""

__all__ = ["FAMILIES", "vit_blocks"]

LINES = ("layers.0", "layers.1", "layers.2")


def _iresnet(net):
    """Yield the names of arcface_torch's IResNet, theirs and ours."""
    yield from {"conv1": "stem.0", "bn1": "stem.1", "prelu": "stem.2"}.items()
    for s, stage in enumerate(net.stages):
        for u in range(len(stage)):
            theirs, ours = f"layer{s + 1}.{u}", f"stages.{s}.{u}"
            for part in ("bn1", "conv1", "bn2", "prelu", "conv2", "bn3"):
                yield f"{theirs}.{part}", f"{ours}.{part}"
            yield f"{theirs}.downsample.0", f"{ours}.shortcut.0"
            yield f"{theirs}.downsample.1", f"{ours}.shortcut.1"
    yield from {"bn2": "head.bn1", "fc": "head.fc", "features": "head.bn2"}.items()


def _mbf(net):
    """Yield the names of arcface_torch's mbf and mbf_large."""

    def unit(theirs, ours):
        return zip((f"{theirs}.{n}" for n in LINES), (f"{ours}.{n}" for n in ("conv", "bn", "act")))

    large = hasattr(net.stages[0], "conv")  # else the stem and the second convolution are one stage
    if large:
        yield from unit("layers.0", "stages.0")
    else:
        yield from unit("layers.0", "stages.0.0")
        yield from unit("layers.1", "stages.0.1")
    counts = (2, 1, 8, 1, 12, 1, 4) if large else (0, 1, 4, 1, 6, 1, 2)
    place = 1
    for number, count in enumerate(counts, 1):
        for i in range(count):
            theirs = f"layers.{number}" + (f".layers.{i}" if number % 2 else "")
            for block in range(3):
                yield from unit(f"{theirs}.layers.{block}", f"stages.{place}.{block}")
            place += 1
    yield from unit("conv_sep", "head.final")
    pairs = {"0.layers.0": "conv", "0.layers.1": "bn1", "2": "fc", "3": "bn2"}
    for name, part in pairs.items():
        yield f"features.layers.{name}", f"head.gdc.{part}"


def vit_blocks(net):
    """Yield the names of the blocks of a vision transformer, which timm gives them too."""
    names = {"norm1": "norm1", "norm2": "norm2", "mlp.fc1": "fc1", "mlp.fc2": "fc2"}
    names.update({"attn.qkv": "attention.qkv", "attn.proj": "attention.proj"})
    for i in range(len(net.blocks)):
        for name, part in names.items():
            yield f"blocks.{i}.{name}", f"blocks.{i}.{part}"


def _vit(net):
    """Yield the names of arcface_torch's and CVLface's vision transformers."""
    yield from {"pos_embed": "positions", "mask_token": "mask_token"}.items()
    yield from {"patch_embed.proj": "patches", "norm": "norm"}.items()
    yield from vit_blocks(net)
    for i, part in enumerate(("fc1", "bn1", "fc2", "bn2")):
        yield f"feature.{i}", part


# By the class of a backbone, or else by what its name begins with.
FAMILIES = {"IResNet": _iresnet, "VisionTransformer": _vit, "mbf": _mbf}
