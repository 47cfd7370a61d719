"""What cavaface calls the modules of the networks that we have from it.

Each function yields pairs of names of a module with tensors: theirs, and ours. Where several of
their modules make up one of ours, ours comes as (name, number). A module that a network does not
have does no harm.
"""

from ...model_zoo.efficientnet import NETWORKS
from ...nn import CBAM, SE
from .modules import BLOCK, FIRST, SEQUENTIAL, conv_unit, same, se

__all__ = ["FAMILIES"]


def _gdc(theirs, ours):
    pairs = {"conv_6_dw.conv": "conv", "conv_6_dw.bn": "bn1", "linear": "fc", "bn": "bn2"}
    for name, part in pairs.items():
        yield f"{theirs}.{name}", f"{ours}.{part}"


def _fc_head(theirs="output_layer"):
    for name, part in (("0", "bn1"), ("3", "fc"), ("4", "bn2")):
        yield f"{theirs}.{name}", f"head.{part}"


def _bottleneck(theirs, ours):
    """Yield the modules of ResNet's units, two or three convolutions long."""
    for i in range(3):
        yield f"{theirs}.conv{i + 1}", f"{ours}.body.{3 * i}"
        yield f"{theirs}.bn{i + 1}", f"{ours}.body.{3 * i + 1}"
    yield from same(f"{theirs}.downsample", f"{ours}.shortcut")


# --- residual families -------------------------------------------------------------------------


def _ir_unit(theirs, ours):
    for i, part in enumerate(("bn1", "conv1", "prelu", "conv2", "bn2")):
        yield f"{theirs}.res_layer.{i}", f"{ours}.{part}"
    yield from se(f"{theirs}.res_layer.5", f"{ours}.se", "fc1", "fc2")
    yield from same(f"{theirs}.shortcut_layer", f"{ours}.shortcut")


def _ir(net):
    yield from same("input_layer", "stem")
    units = [f"stages.{s}.{u}" for s, stage in enumerate(net.stages) for u in range(len(stage))]
    for i, unit in enumerate(units):
        yield from _ir_unit(f"body.{i}", unit)
    yield from _fc_head()  # of its first revisions
    yield from (("bn2", "head.bn1"), ("fc", "head.fc"), ("features", "head.bn2"))


# Of the attention modules of the three stages: units, and the sequences of units.
_ATTENTION = (
    {
        "share_residual_block": "first",
        "mask_block1": "downs.0.0",
        "skip_connect1": "skips.0",
        "mask_block2": "downs.1.0",
        "skip_connect2": "skips.1",
        "mask_block3.0": "downs.2.0",
        "mask_block3.1": "downs.2.1",
        "mask_block4": "ups.1",
        "mask_block5": "ups.0",
        "mask_block6": "tail",
        "last_block": "last",
    },
    {
        "first_residual_blocks": "first",
        "softmax1_blocks": "downs.0.0",
        "skip1_connection_residual_block": "skips.0",
        "softmax2_blocks.0": "downs.1.0",
        "softmax2_blocks.1": "downs.1.1",
        "softmax3_blocks": "ups.0",
        "softmax4_blocks": "tail",
        "last_blocks": "last",
    },
    {
        "first_residual_blocks": "first",
        "softmax1_blocks.0": "downs.0.0",
        "softmax1_blocks.1": "downs.0.1",
        "softmax2_blocks": "tail",
        "last_blocks": "last",
    },
)


def _attention_net(net):
    yield from same("input_layer", "stem")
    yield from _fc_head()
    stage = number = 0  # of residual units, and of modules since the last of them
    for i, block in enumerate(net.stages):
        if not hasattr(block, "trunk"):
            stage, number = stage + 1, 0
            yield from _ir_unit(f"residual_block{stage}", f"stages.{i}")
            continue
        number += 1
        theirs = f"attention_module{stage}" + (f"_{number}" if number > 1 else "")
        names = {"trunk_branches.0": "trunk.0", "trunk_branches.1": "trunk.1"}
        for name, part in {**names, **_ATTENTION[stage - 1]}.items():
            pairs = same if part == "tail" else _ir_unit
            yield from pairs(f"{theirs}.{name}", f"stages.{i}.{part}")


def _resnest(net):
    yield from same("conv1", "stem")
    yield from (("bn1", "stem.7"), ("relu", "stem.8"))
    names = {
        **{"conv1": "conv1", "bn1": "bn1", "relu": "prelu1", "conv3": "conv2", "bn3": "bn2"},
        **{"conv2.conv": "split.conv", "conv2.bn0": "split.bn1", "conv2.fc1": "split.fc1"},
        **{"conv2.bn1": "split.bn2", "conv2.fc2": "split.fc2"},
    }
    for s, stage in enumerate(net.stages):
        for u, unit in enumerate(stage):
            theirs, ours = f"layer{s + 1}.{u}", f"stages.{s}.{u}"
            for name, part in names.items():
                yield f"{theirs}.{name}", f"{ours}.{part}"
            if unit.shortcut is not None:  # theirs begins with a mean, though of one pixel
                first = len(unit.shortcut) - 2
                yield f"{theirs}.downsample.1", f"{ours}.shortcut.{first}"
                yield f"{theirs}.downsample.2", f"{ours}.shortcut.{first + 1}"
    yield from _fc_head("fc")


def _resnext(net):
    yield from (("conv1", "stem.0"), ("bn1", "stem.1"))
    for s, stage in enumerate(net.stages):
        for u in range(len(stage)):
            yield from _bottleneck(f"layer{s + 1}.{u}", f"stages.{s}.{u}")
    yield from (("bn_o1", "head.bn1"), ("fc", "head.fc"), ("bn_o2", "head.bn2"))


def _densenet(net):
    yield from same("input_layer", "stem")
    for s, stage in enumerate(net.stages):
        theirs, shift = f"features.stage{s + 1}", bool(s)
        for name, part in zip(BLOCK, ("conv", "bn", "prelu")):
            yield f"{theirs}.trans{s + 1}.conv.{name}", f"stages.{s}.0.{part}"
            for u in range(shift, len(stage)):
                for i in (1, 2):
                    unit = f"{theirs}.unit{u + 1 - shift}.conv{i}"
                    yield f"{unit}.{name}", f"stages.{s}.{u}.{part}{i}"
    yield from _fc_head()


def _hrnet(net):
    yield from (("conv1", "stem.0"), ("bn1", "stem.1"), ("conv2", "stem.3"), ("bn2", "stem.4"))
    for i in range(len(net.first)):
        yield from _bottleneck(f"layer1.{i}", f"first.{i}")
    yield from same("transition1.0", "split.0")
    yield from same("transition1.1.0", "split.1")
    yield from same("transition2.2.0", "forks.0")
    yield from same("transition3.3.0", "forks.1")
    for s, stage in enumerate(net.stages):
        for m, module in enumerate(stage):
            theirs, ours = f"stage{s + 2}.{m}", f"stages.{s}.{m}"
            for b, branch in enumerate(module.branches):
                for u in range(len(branch)):
                    yield from _bottleneck(f"{theirs}.branches.{b}.{u}", f"{ours}.branches.{b}.{u}")
            places = [(t, b) for t in range(module.count) for b in range(module.count) if t != b]
            for i, (target, source) in enumerate(places):
                fuse, exchange = f"{theirs}.fuse_layers.{target}.{source}", f"{ours}.exchanges.{i}"
                yield from same(fuse, exchange, FIRST[:2])
                for step in range(target - source):
                    for part in (0, 1):
                        yield f"{fuse}.{step}.{part}", f"{exchange}.{3 * step + part}"
    for b in range(4):
        yield from _bottleneck(f"incre_modules.{b}.0", f"pyramid.widen.{b}")
        yield from same(f"downsamp_modules.{b}", f"pyramid.downs.{b}")
    yield from _fc_head("final_layer")


# --- mobile families ---------------------------------------------------------------------------

# Where our stages have the first of its units.
_MOBILEFACENET = {"23": 0, "3": 1, "34": 5, "4": 6, "45": 12, "5": 13}
_GHOST_STAGES = (1, 1, 1, 1, 1, 1, 5, 1, 4)  # units of each
# Numbers of the units that each stage of ProxylessNAS keeps.
_PROXYLESS = {
    "mobile": ((1,), (1, 2), (1, 2, 3, 4), (1, 2, 3, 4, 5, 6, 7, 8), (1, 2, 3, 4, 5)),
    "cpu": ((1,), (1, 2, 3, 4), (1, 2, 3, 4), (1, 4, 5, 6, 7, 8), (1, 2, 3, 4, 5)),
    "gpu": ((1,), (1,), (1, 4), (1, 4, 5, 7, 8), (1, 2, 3, 4, 5)),
}


def _mobilefacenet(net):
    parts = ("conv", "bn", "prelu")
    names = {"conv1": "1", "conv2_dw": "2"}
    for part in parts:
        for name, number in names.items():
            yield f"{name}.{part}", f"stem.{part}{number}"
        yield f"conv_6_sep.{part}", f"final.{part}"
    yield from _gdc("output_layer", "head")
    firsts = [*_MOBILEFACENET.values(), len(net.stages)]
    for (name, first), end in zip(_MOBILEFACENET.items(), firsts[1:]):
        for i in range(first, end):
            theirs = f"conv_{name}" + (f".model.{i - first}" if len(name) == 1 else "")
            for number, place in enumerate(("conv", "conv_dw", "project"), 1):
                for part in parts:
                    yield f"{theirs}.{place}.{part}", f"stages.{i}.{part}{number}"
            theirs, ours = f"{theirs}.attention_layer", f"stages.{i}.attention"
            if isinstance(net.stages[i].attention, CBAM):
                yield from se(f"{theirs}.ch_gate.mlp", ours, "fc1", "fc2")
                yield from conv_unit(f"{theirs}.sp_gate.conv", ours)
            else:
                yield from se(theirs, ours)  # SE
                yield theirs, ours  # GCT
                yield f"{theirs}.conv", f"{ours}.conv"  # ECA


def _mobilenetv2(net):
    yield from conv_unit("features.0", "stages.0.0", SEQUENTIAL)
    for i, chain in enumerate(net.stages, 1):
        first, last = int(i == 1), len(chain) - 1
        theirs, ours = f"features.{i}.conv", f"stages.{i - 1}"
        for place in range(first, last):
            yield from conv_unit(f"{theirs}.{place - first}", f"{ours}.{place}", SEQUENTIAL)
        yield f"{theirs}.{last - first}", f"{ours}.{last}.conv"
        yield f"{theirs}.{last - first + 1}", f"{ours}.{last}.bn"
    yield from conv_unit(f"features.{len(net.stages) + 1}", "head.final", SEQUENTIAL)
    yield from _gdc("output_layer", "head.gdc")


def _mobilenext(net):
    yield from conv_unit("features.0", "stages.0.0", SEQUENTIAL)
    for i in range(len(net.stages)):
        theirs, first = f"features.{i + 1}.conv", int(i == 0)
        units = [f"stages.{i}.{first + place}" for place in range(4)]
        yield from conv_unit(f"{theirs}.0", units[0], SEQUENTIAL)
        yield from conv_unit(theirs, units[1], SEQUENTIAL[1:])
        yield from conv_unit(f"{theirs}.3", units[2], SEQUENTIAL)
        yield from conv_unit(theirs, units[3], ("4", "5"))
    yield from _gdc("output_layer", "head")


def _mobilenetv3(net):
    yield from conv_unit("features.0", "stages.0", SEQUENTIAL)
    for i, chain in enumerate(net.stages):
        if not i:
            continue
        theirs, ours = f"features.{i}.conv", f"stages.{i}"
        last, start = f"{ours}.{len(chain) - 1}", 0
        if len(chain) > 2:
            yield from conv_unit(theirs, f"{ours}.0", SEQUENTIAL)
            start = 3
        depthwise = f"{ours}.{start // 3}"
        yield from conv_unit(theirs, depthwise, [str(start), str(start + 1)])
        if len(chain) == 5:
            yield from se(f"{theirs}.5.fc", f"{ours}.2", "0", "2")
            yield f"{theirs}.6", f"{ours}.3"
        else:
            yield f"{theirs}.{6 if start else 2}", f"{depthwise}.act"
        yield from conv_unit(theirs, last, ("7", "8") if start else ("4", "5"))
    yield from conv_unit("conv", "head.final", SEQUENTIAL)
    yield from _gdc("output_layer", "head.gdc")


def _ghostnet(net):
    yield from conv_unit("", "stages.0", ("conv_stem", "bn1", "act1"))
    names = [f"blocks.{s}.{u}" for s, count in enumerate(_GHOST_STAGES) for u in range(count)]
    for i, theirs in enumerate(names, 1):
        ours, body = f"stages.{i}", net.stages[i].body
        for name, place in (("ghost1", 0), ("ghost2", len(body) - 1)):
            for operation, part in (("primary_conv", "primary"), ("cheap_operation", "cheap")):
                yield from conv_unit(
                    f"{theirs}.{name}.{operation}", f"{ours}.body.{place}.{part}", SEQUENTIAL
                )
        for place in range(1, len(body) - 1):
            if isinstance(body[place], SE):
                yield from se(f"{theirs}.se", f"{ours}.body.{place}", "conv_reduce", "conv_expand")
            else:
                yield from conv_unit(theirs, f"{ours}.body.{place}", ("conv_dw", "bn_dw"))
        yield from conv_unit(f"{theirs}.shortcut", f"{ours}.shortcut.0", SEQUENTIAL[:2])
        yield from conv_unit(f"{theirs}.shortcut", f"{ours}.shortcut.1", ("2", "3"))
    yield from conv_unit(f"blocks.{len(_GHOST_STAGES)}.0", "head.final", ("conv", "bn1", "act1"))
    yield from _gdc("output_layer", "head.gdc")


def _proxylessnas(net):
    yield from conv_unit("features.init_block", "stages.0.0")
    kept = _PROXYLESS[net.cfg.name.rpartition("_")[2]]
    names = [f"features.stage{s}.unit{u}.body" for s, units in enumerate(kept, 1) for u in units]
    for i, theirs in enumerate(names):
        places = ("", "dw_conv", "pw_conv") if i == 0 else ("bc_conv", "dw_conv", "pw_conv")
        for place, name in enumerate(places):
            if name:
                yield from conv_unit(f"{theirs}.{name}", f"stages.{i}.{place}")
    yield from conv_unit("features.final_block", "head.final")
    yield from _gdc("output", "head.gdc")


def _efficientnet(net):
    yield from conv_unit("features.init_block.conv", "stages.0.0")
    counts = [count for _, count in NETWORKS[net.cfg.name.rpartition("_")[2]][1:]]
    merged = (*counts[:3], counts[3] + counts[4], counts[5] + counts[6])
    names = [
        (s, f"features.stage{s}.unit{u + 1}") for s, n in enumerate(merged, 1) for u in range(n)
    ]
    for i, (stage, theirs) in enumerate(names):
        ours, first = f"stages.{i}", int(i == 0)
        places = ("dw_conv", "se", "pw_conv") if stage == 1 else ("conv1", "conv2", "se", "conv3")
        for place, name in enumerate(places, first):
            pairs = se if name == "se" else conv_unit
            yield from pairs(f"{theirs}.{name}", f"{ours}.{place}")
    yield from conv_unit("features.final_block", "head.final")
    yield from _gdc("output", "head.gdc")


def _rexnet(net):
    yield from conv_unit("features", "stages.0.0", SEQUENTIAL[:2])
    for i, block in enumerate(net.stages):
        chain, ours = block, f"stages.{i}"
        if hasattr(block, "body"):
            chain, ours = block.body, f"{ours}.body"
        number = 0  # in their sequence of layers
        for place, part in enumerate(chain):
            theirs = f"features.{i + 3}.out"
            if isinstance(part, SE):
                yield from se(f"{theirs}.{number}.fc", f"{ours}.{place}", "0", "3")
                yield f"{theirs}.{number}.fc.1", f"{ours}.{place}.bn"
                number += 1
            elif not hasattr(part, "conv"):
                number += 1
            elif i or place:  # else it is the stem
                yield from conv_unit(theirs, f"{ours}.{place}", (str(number), str(number + 1)))
                number += 2 + (part.act is not None)
    end = len(net.stages) + 3
    yield from conv_unit("features", "head.final", (str(end), str(end + 1)))
    yield from _gdc("output_layer", "head.gdc")


# By the class of a backbone, or else by what its name begins with.
FAMILIES = {
    "IR": _ir,
    "AttentionNet": _attention_net,
    "ResNeSt": _resnest,
    "ResNeXt": _resnext,
    "DenseNet": _densenet,
    "HRNet": _hrnet,
    "MobileFaceNet": _mobilefacenet,
    "mobilenetv2": _mobilenetv2,
    "mobilenetv3": _mobilenetv3,
    "mobilenext": _mobilenext,
    "ghostnet": _ghostnet,
    "proxylessnas": _proxylessnas,
    "efficientnet": _efficientnet,
    "rexnetv1": _rexnet,
}
