import numpy as np
import pytest
from deploy_nets import operators

from gluonface._compat import mx
from gluonface.deploy.engines import SymbolEngine
from gluonface.deploy.rewriting.rewrite import rewrite

S = mx.sym
DEPTHWISE = {"kernel": (3, 3), "pad": (1, 1), "num_group": 16, "num_filter": 16}


@pytest.mark.parametrize(
    ("settings", "joined"),
    [
        ({}, True),
        ({"stride": (2, 2)}, True),
        ({"kernel": (5, 5), "pad": (2, 2)}, True),
        ({"no_bias": True}, True),
        ({"pad": (0, 0)}, False),
        ({"stride": (2, 1)}, False),
        ({"dilate": (2, 2), "pad": (2, 2)}, False),
        ({"num_group": 8}, False),
    ],
)
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("ends", ["both", "before", "after", "branch"])
def test_depthwise_convolutions_take_their_prelus(our_operators, settings, joined, shared, ends):
    """Unless another layer wants what lies between."""
    settings = {**DEPTHWISE, **settings}
    x = S.Convolution(S.var("data"), kernel=(3, 3), stride=(8, 8), num_filter=16, name="one")
    first = x = S.LeakyReLU(x, gamma=S.var("a"), act_type="prelu") if ends != "after" else x
    x = S.Convolution(x, name="two", **settings)
    x = S.LeakyReLU(x, gamma=S.var("b"), act_type="prelu") if ends != "before" else x
    if ends == "branch":
        x = S.Concat(*(S.Pooling(y, global_pool=True, kernel=(1, 1)) for y in (first, x)))
    x = S.Convolution(x, kernel=(1, 1), num_filter=4, name="three")
    symbol = S.Flatten(S.Pooling(x, kernel=(1, 1), global_pool=True, pool_type="avg"))
    rng = np.random.RandomState(0)
    shapes = symbol.infer_shape(data=(1, 3, 112, 112))[0]
    args = {
        name: rng.normal(0, 0.01 if name == "one_weight" else 1, shape).astype(np.float32)
        for name, shape in zip(symbol.list_arguments(), shapes)
        if name != "data"
    }
    if shared:
        args.update({name: args[name][:1] for name in "ab" if name in args})
    used = operators(rewrite(symbol, args)[0])
    assert any("depthwise" in name for name in used) == joined
    left = {"branch": 1}.get(ends, 0) if joined else {"both": 2, "branch": 2}.get(ends, 1)
    assert used.count("_gluonface_prelu") == left
    arrays = {f"arg:{name}": value for name, value in args.items()}
    pixels = rng.uniform(0, 255, (3, 3, 112, 112)).astype(np.float32)
    fast, plain = (SymbolEngine(symbol, arrays, mx.cpu(), fast=fast) for fast in (True, False))
    assert fast.variant == "fused"
    expected = plain.run(pixels)
    # float32 sums of 27, then 25, then 16 products
    np.testing.assert_allclose(
        fast.run(pixels), expected, rtol=0, atol=1e-5 * np.abs(expected).max()
    )


def test_gates_and_products_become_ours(our_operators):
    """Factors per image and channel or pixel, on either side; not those that all images share."""
    x = S.Convolution(S.var("data"), kernel=(3, 3), stride=(8, 8), num_filter=4, name="one")
    channel = S.sigmoid(S.mean(x, axis=(2, 3), keepdims=True))
    pixel = S.sigmoid(S.mean(x, axis=1, keepdims=True))
    x = S.broadcast_mul(channel, x) + S.broadcast_mul(x, pixel) + x * S.sigmoid(x)
    x = S.broadcast_mul(x, S.var("shared", shape=(1, 4, 1, 1)))
    symbol = S.Flatten(S.Pooling(x, kernel=(1, 1), global_pool=True, pool_type="avg"))
    rng = np.random.RandomState(0)
    args = {
        "one_weight": rng.normal(0, 0.01, (4, 3, 3, 3)),
        "one_bias": rng.normal(0, 1, 4),
        "shared": rng.normal(0, 1, (1, 4, 1, 1)),
    }
    args = {name: value.astype(np.float32) for name, value in args.items()}
    used = operators(rewrite(symbol, args)[0])
    assert used.count("_gluonface_gate") == 2
    assert used.count("_gluonface_product") == 1
    assert used.count("broadcast_mul") == 1
    arrays = {f"arg:{name}": value for name, value in args.items()}
    pixels = rng.uniform(0, 255, (3, 3, 112, 112)).astype(np.float32)
    fast, plain = (SymbolEngine(symbol, arrays, mx.cpu(), fast=fast) for fast in (True, False))
    assert fast.variant == "fused"
    np.testing.assert_allclose(fast.run(pixels), plain.run(pixels), rtol=2e-5, atol=2e-5)
