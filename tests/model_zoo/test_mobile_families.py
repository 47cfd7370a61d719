"""Mobile families and vision transformers against the published counts, and their odd parts."""

import json
import math

import numpy as np
import pytest
from zoo_samples import first_of_family

from gluonface._compat import mx
from gluonface.model_zoo import BACKBONES
from gluonface.model_zoo.ghostnet import _Ghost
from gluonface.model_zoo.mixfacenet import _Shuffle
from gluonface.model_zoo.rexnet import _Shortcut
from gluonface.nn import ConvBN

NAMES = [
    *(f"mobilefacenet_{n}" for n in ("se", "eca", "cbam", "gct")),
    *(f"gluonfr_mobilefacenet{n}" for n in ("", "_se", "_re", "_re_se")),
    *("mbf", "mbf_large", "mobilenetv2", "mobilenext", "mobilenetv3"),
    *("ghostnet", "ghostnet_x1.3"),
    *(f"proxylessnas_{n}" for n in ("mobile", "cpu", "gpu")),
    *(f"efficientnet_b{n}" for n in range(9)),
    *(f"rexnetv1_x{n}" for n in ("1.0", "1.3", "1.5", "2.0", "2.2", "3.0")),
    *(f"{n}mixfacenet_{s}" for n in ("", "shuffle") for s in ("m", "s", "xs")),
    *(f"vit_{n}" for n in "tsbl"),
]


def build(name):
    cfg, make = BACKBONES.get(name)
    return make(cfg, prelu="plain")


def size(parameters, train):
    return sum(math.prod(p.shape) for p in parameters if (p.grad_req != "null") == train)


@pytest.fixture(scope="module")
def truth(shared):
    rows = json.loads((shared / "spec/zoo_truth.json").read_text())
    return {row["name"].lower().replace("-", "_"): row for row in rows}


@pytest.mark.parametrize(
    "name", first_of_family(n for n in NAMES if not n.startswith(("mobilefacenet", "vit")))
)
def test_stages_of_the_reference(name, truth):
    """After each of the reference's parts, the same map and as many parameters so far."""
    stages = truth[name]["stages"] or []
    if not stages:
        pytest.skip("the reference lists no stages")
    theirs, total = {}, 0
    for part in stages[:-1]:
        total += part["params"]
        theirs[total] = tuple(part["out"])
    net = build(name)
    y, ours, total = mx.sym.var("data"), {}, 0
    for block in net.stages:
        y = block(y)
        total += size(block.collect_params().values(), True)
        ours[total] = y.infer_shape(data=(1, 3, 112, 112))[1][0][1:]
    both = set(ours) & set(theirs)
    assert {n: ours[n] for n in both} == {n: theirs[n] for n in both}
    # The stem may be within the first block; what comes last is the head.
    middle = sorted(theirs)
    middle = [n for n in middle if min(ours) <= n <= max(ours)]
    assert middle
    assert set(middle) <= both


def test_shuffle():
    x = np.arange(10, dtype="float32").reshape(1, 10, 1, 1)
    y = _Shuffle()(mx.nd.array(x)).asnumpy().ravel()
    assert y.tolist() == [0, 2, 4, 6, 8, 1, 3, 5, 7, 9]


def test_rexnet_adds_to_the_first_channels():
    block = _Shortcut(3, 5, ConvBN(3, 5))
    block.initialize()
    x = mx.nd.random.normal(shape=(2, 3, 4, 6))
    want = block.body(x).asnumpy()
    want[:, :3] += x.asnumpy()
    np.testing.assert_allclose(block(x).asnumpy(), want, rtol=1e-6)


def test_ghost_module_cuts_odd_widths():
    block = _Ghost(4, 5)
    block.initialize()
    x = mx.nd.random.normal(shape=(2, 4, 3, 3))
    first = block.primary(x)
    want = np.concatenate([first.asnumpy(), block.cheap(first).asnumpy()], axis=1)
    assert want.shape[1] == 6
    np.testing.assert_allclose(block(x).asnumpy(), want[:, :5], rtol=1e-6)


def test_vit_masks_in_training_alone():
    net = build("vit_t")
    x = mx.nd.ones((5, 144, 4))
    assert net.masked(mx.nd, x).asnumpy().sum() == 0
    with mx.autograd.record():
        masked = net.masked(mx.nd, x).asnumpy()
    assert masked.shape == (5, 144, 1)
    assert (masked.sum((1, 2)) == 144 - int(0.9 * 144)).all()
    assert len({row.tobytes() for row in masked}) == 5
