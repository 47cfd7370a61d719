"""EdgeFace, ConvNeXt and vision transformers: their blocks against twins, each part's counts."""

import json
import types

import numpy as np
import pytest
from reference import transformer
from reference.twins import check_twin

from gluonface._compat import mx
from gluonface.model_zoo import BACKBONES
from gluonface.model_zoo._count import count_macs, count_params
from gluonface.model_zoo.edgeface import (
    CrossCovarianceAttention,
    FourierPositions,
    LowRankLinear,
    SplitBlock,
)
from gluonface.nn import linear

RNG = np.random.default_rng(0)


def test_cross_covariance_attention():
    block = CrossCovarianceAttention(12, 3, linear)
    x = RNG.standard_normal((2, 10, 12))
    check_twin(block, lambda p, x: transformer.cross_covariance_attention(p, x, 3), x)


def test_channels_that_are_0():
    """The length of a row is at least 1e-12, so that no division by 0 makes NaN."""
    block = CrossCovarianceAttention(12, 3, linear)
    block.initialize()
    x = mx.nd.zeros((1, 10, 12))
    x.attach_grad()
    with mx.autograd.record():
        y = block(x)
    y.backward()
    assert (y.asnumpy() == 0).all()
    assert np.isfinite(x.grad.asnumpy()).all()


def test_positions():
    block = FourierPositions(8)
    x = RNG.standard_normal((2, 196, 8))
    check_twin(block, lambda p, x: x + transformer.positions(p, 14), x)


@pytest.mark.parametrize(
    ("channels", "parts", "side", "positions"),
    [(8, 2, 14, True), (16, 3, 4, False), (22, 4, 3, False)],
)
def test_split_block(channels, parts, side, positions):
    """Also where the channels cannot be divided: 16 into 6, 6, 4 and 22 into 6, 6, 6, 4."""
    block = SplitBlock(channels, parts, 2, side, positions, linear)
    x = RNG.standard_normal((2, channels, side, side))
    check_twin(block, lambda p, x: transformer.split_block(p, x, parts, 2), x, rtol=1e-4)


def test_low_rank():
    check_twin(
        LowRankLinear(6, 5, 2),
        lambda p, x: transformer.linear({f"a.{k}": v for k, v in p.items()}, "a", x),
        RNG.standard_normal((3, 6)),
    )


def test_published_names():
    for alias, name in {
        "edgeface-xs-gamma-06": "edgeface_xs_gamma_06",
        "EDGEFACE_XXS": "edgeface_xxs",
        "convnext_atto": "timmface_convnext_atto",
        "vit-t": "vit_t",
    }.items():
        assert BACKBONES.resolve(alias) == name


@pytest.fixture(scope="module")
def truth(shared):
    rows = json.loads((shared / "spec/zoo2_truth.json").read_text())
    return {row["name"]: {part["part"]: part for part in row["stages"]} for row in rows}


@pytest.mark.parametrize("name", BACKBONES.list("edgeface*") + BACKBONES.list("*convnext*"))
def test_each_part_of_the_reference(name, truth):
    cfg, make = BACKBONES.get(name)
    net, x, before = make(cfg), mx.sym.var("data"), 0
    parts = {"stem": net.stem, **{f"stage {i + 1}": s for i, s in enumerate(net.stages)}}
    for part, block in parts.items():
        want = truth[name][part]
        x = block(x)
        _, (shape,), _ = x.infer_shape(data=(1, 3, 112, 112))
        view = types.SimpleNamespace(cfg=cfg, to_symbol=lambda form, x=x: x)
        macs = count_macs(view)
        found = (list(shape[1:]), count_params(block), macs - before)
        assert found == (want["out"], want["params"], want["macs"]), part
        before = macs
    assert count_params(net.head.norm) == truth[name]["head.norm"]["params"]
    assert count_params(net.head.fc) == truth[name]["head.fc"]["params"]


@pytest.mark.parametrize("name", [n for n in BACKBONES.list("*face_vit*")])
def test_each_part_of_a_transformer(name, truth):
    cfg, make = BACKBONES.get(name)
    net, rows = make(cfg), truth[name]
    assert count_params(net.patches) == rows["patch_embed"]["params"]
    blocks = rows.get("blocks") or rows[f"blocks ({len(net.blocks)})"]
    assert count_params(net.blocks) == blocks["params"]
    assert net.positions.shape[1] * net.positions.shape[2] == rows["pos_embed"]["params"]
    drops = [block.drop for block in net.blocks]
    assert drops == sorted(drops)
    assert drops[-1] == (0.1 if name.startswith("cvlface") else 0)
