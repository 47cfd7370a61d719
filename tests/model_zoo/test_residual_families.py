"""Residual families: each part against the reference's counts."""

import json
import types

import pytest

from gluonface._compat import mx
from gluonface.model_zoo import BACKBONES
from gluonface.model_zoo._count import count_macs, count_params

# our name -> name in zoo_truth.json
TRUTH = {
    **{f"iresnet{n}": f"r{n}" for n in (18, 34, 50, 100, 200)},
    "ir_100": "IR-100",
    "ir_se_100": "IR-SE-100",
    **{f"ir_{n}": f"IR_{n}" for n in (50, 101, 152)},
    **{f"ir_se_{n}": f"IR_SE_{n}" for n in (50, 101, 152)},
    "attentionnet_ir_56": "AttentionNet_IR_56",
    "attentionnet_irse_56": "AttentionNet_IRSE_56",
    "attentionnet_ir_92": "AttentionNet_IR_92",
    "attentionnet_irse_92": "AttentionNet-IRSE-92",
    **{f"attention_net{n}": f"gluonfr_attention_net{n}" for n in (56, 92, 128, 164, 236, 452)},
    **{f"se_resnet{n}_v2": f"gluonfr_se_resnet{n}_v2" for n in (18, 34, 50, 101, 152)},
    "resnext50": "ResNeXt_50_32x4d",
    "resnest50": "ResNeSt_50",
    "resnest101": "ResNeSt-101",
    **{f"densenet{n}": f"DenseNet-{n}" for n in (121, 161, 169, 201)},
    "hrnet_w18": "HRNet_W18",
}
HEADS = ("bn_o1", "bn_o2", "bn2", "fc", "features", "output_layer", "final_layer")


@pytest.fixture(scope="module")
def truth(shared):
    rows = json.loads((shared / "spec/zoo_truth.json").read_text())
    return {row["name"]: row for row in rows}


def build(name):
    cfg, make = BACKBONES.get(name)
    return make(cfg, prelu="plain")


def test_published_names():
    for alias, name in {
        "IR_SE_100": "ir_se_100",
        "IR-SE-100": "ir_se_100",
        "IR-50": "ir_50",
        "r100": "iresnet100",
        "R18": "iresnet18",
        "AttentionNet-IRSE-92": "attentionnet_irse_92",
        "AttentionNet_IR_56": "attentionnet_ir_56",
        "ResNeSt-101": "resnest101",
        "DenseNet-201": "densenet201",
        "ResNeXt_50_32x4d": "resnext50",
        "HRNet_W18": "hrnet_w18",
        "attention_net": "attention_net128",
    }.items():
        assert BACKBONES.resolve(alias) == name


def parts(net):
    """Yield what each part of a network in sequence costs: (shape, parameters, MACs)."""
    x, before = mx.sym.var("data"), 0
    for block in (net.stem, *net.stages):
        x = block(x)
        _, (shape,), _ = x.infer_shape(data=(1, 3, 112, 112))
        view = types.SimpleNamespace(cfg=net.cfg, to_symbol=lambda form, x=x: x)
        macs = count_macs(view)
        yield list(shape[1:]), count_params(block), macs - before
        before = macs


@pytest.mark.parametrize(
    "name",
    ["iresnet18", "iresnet100", "ir_50", "attentionnet_irse_92", "resnest50", "densenet201"],
)
def test_each_part_of_the_reference(name, truth):
    rows = [r for r in truth[TRUTH[name]]["stages"] if r["part"] not in HEADS]
    # The reference lists the stem's layers one by one.
    first = {"iresnet": 3, "ir_50": 1, "attent": 1, "resnes": 3, "densen": 1}
    count = next(n for key, n in first.items() if name.startswith(key))
    stem, rest = rows[:count], rows[count:]
    expected = [
        (stem[-1]["out"], sum(r["params"] for r in stem), sum(r["macs"] for r in stem)),
        *((r["out"], r["params"], r["macs"]) for r in rest),
    ]
    actual = list(parts(build(name)))
    if len(rest) == 1:  # the body of IR is one part there
        stages = actual[1:]
        actual[1:] = [(stages[-1][0], *(sum(s[i] for s in stages) for i in (1, 2)))]
    assert actual == expected


def test_each_part_of_hrnet(truth):
    net = build("hrnet_w18")
    rows = {row["part"]: row for row in truth["HRNet_W18"]["stages"]}
    blocks = {
        "layer1": net.first,
        "transition1": net.split,
        "transition2": net.forks[0],
        "transition3": net.forks[1],
        "stage2": net.stages[0],
        "stage3": net.stages[1],
        "stage4": net.stages[2],
        "incre_modules": net.pyramid.widen,
        "downsamp_modules": net.pyramid.downs,
        "final_layer": net.head,
    }
    assert {k: count_params(block) for k, block in blocks.items()} == {
        k: rows[k]["params"] for k in blocks
    }
    maps = net.branches(mx.sym.var("data"))
    shapes = [list(x.infer_shape(data=(1, 3, 112, 112))[1][0][1:]) for x in maps]
    assert shapes == rows["stage4"]["out"]
