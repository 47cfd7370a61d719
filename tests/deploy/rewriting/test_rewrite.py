import json

import numpy as np
import pytest
from deploy_nets import pixels

from gluonface._compat import mx
from gluonface.deploy.engines import SymbolEngine
from gluonface.deploy.export import trace
from gluonface.deploy.rewriting.rewrite import rewrite
from gluonface.weights.mxnet_params import split_params

S = mx.sym


def operators(symbol):
    return [node["op"] for node in json.loads(symbol.tojson())["nodes"]]


def test_fast_form_gives_the_same_outputs(mobilefacenet, images, ours):
    symbol, arrays = trace(mobilefacenet)
    args, auxs = split_params(arrays)
    assert operators(symbol).count("LeakyReLU") == 33
    changed, _ = rewrite(symbol, args, auxs)
    assert operators(changed).count("LeakyReLU") == 0
    # 16 depthwise convolutions, the stem's among them, take 32 of them.
    assert operators(changed).count("_gluonface_prelu") == (1 if ours else 0)
    assert sum("_depthwise" in name for name in operators(changed)) == (16 if ours else 0)
    assert operators(rewrite(symbol, args, auxs, fast=False)[0]).count("LeakyReLU") == 33

    x = pixels(images).asnumpy()
    plain = SymbolEngine(symbol, arrays, mx.cpu(), fast=False).run(x)
    fast = SymbolEngine(symbol, arrays, mx.cpu()).run(x)
    assert plain.std() > 0.1
    np.testing.assert_allclose(fast, plain, rtol=0, atol=5e-5)  # 50 layers of float32


@pytest.mark.parametrize("slopes", [[0.25], [0.0, -0.5, 1.5]])
def test_any_slope(slopes, ours):
    """One for all channels, none, negative, above one."""
    x = S.LeakyReLU(S.var("data") - 127.5, gamma=S.var("a"), act_type="prelu", name="p")
    symbol = S.Flatten(S.Pooling(x, kernel=(16, 16), stride=(16, 16), pool_type="avg"))
    arrays = {"arg:a": np.array(slopes, np.float32)}
    pixel = np.random.RandomState(0).uniform(0, 255, (2, 3, 112, 112)).astype(np.float32)
    y = pixel.astype(np.float64) - 127.5
    y = np.where(y > 0, y, y * np.reshape(slopes, (-1, 1, 1)))
    expected = y.reshape(2, 3, 7, 16, 7, 16).mean(axis=(3, 5)).reshape(2, -1)
    for fast in (False, True):
        engine = SymbolEngine(symbol, arrays, mx.cpu(), fast=fast)
        np.testing.assert_allclose(engine.run(pixel), expected, rtol=0, atol=1e-4)
    used = operators(rewrite(symbol, {"a": arrays["arg:a"]})[0])
    assert "LeakyReLU" not in used or len(slopes) == 1
    assert ("_gluonface_prelu" in used) == ours


def test_flat_norms_become_wide():
    x = S.BatchNorm(S.mean(S.var("data"), axis=(2, 3)), fix_gamma=False, name="bn")
    for symbol in (x, x * 2, S.Concat(x, x)):  # at the end, with a user, with two
        args = {k: np.ones(3, np.float32) for k in ("bn_gamma", "bn_beta")}
        changed, _ = rewrite(symbol, args)
        shapes = dict(
            zip(
                changed.get_internals().list_outputs(),
                changed.get_internals().infer_shape(data=(2, 3, 112, 112))[1],
            )
        )
        assert shapes["bn_output"] == (2, 3, 1, 1)
        arrays = {f"arg:{k}": v * 3 for k, v in args.items()}
        arrays.update({f"aux:bn_moving_{k}": np.full(3, 0.5, np.float32) for k in ("mean", "var")})
        pixel = np.random.RandomState(0).uniform(0, 1, (2, 3, 112, 112)).astype(np.float32)
        expected = (pixel.mean(axis=(2, 3)) - 0.5) / np.sqrt(0.5 + 1e-3) * 3 + 3
        actual = SymbolEngine(symbol, arrays, mx.cpu()).run(pixel)
        columns = expected * 2 if symbol is not x and actual.shape[1] == 3 else expected
        columns = np.concatenate([expected] * 2, axis=1) if actual.shape[1] == 6 else columns
        np.testing.assert_allclose(actual, columns, rtol=1e-4)


@pytest.mark.parametrize("slopes", [[0.1, 0.7, -0.3, 0.0], [1.8, -1.0, -2.5, 1.0]])
def test_prelu_after_a_convolution(slopes, ours):
    """One operator computes it, whatever the slopes; above 1 the next layer turns the sign."""
    rng = np.random.RandomState(0)
    x = S.Convolution(S.var("data"), kernel=(3, 3), stride=(4, 4), num_filter=4, name="one")
    x = S.LeakyReLU(x, gamma=S.var("a"), act_type="prelu", name="p")
    x = S.Convolution(x, kernel=(3, 3), num_filter=6, name="two")
    symbol = S.Flatten(S.Pooling(x, kernel=(1, 1), global_pool=True, pool_type="avg"))
    args = {
        "one_weight": rng.normal(0, 0.01, (4, 3, 3, 3)),
        "one_bias": rng.normal(0, 1, 4),
        "a": np.array(slopes),
        "two_weight": rng.normal(0, 1, (6, 4, 3, 3)),
        "two_bias": rng.normal(0, 1, 6),
    }
    args = {name: value.astype(np.float32) for name, value in args.items()}
    one_operator = "_gluonface_prelu" if ours else "_sg_mkldnn_conv"
    assert one_operator in operators(rewrite(symbol, args)[0])
    arrays = {f"arg:{name}": value for name, value in args.items()}
    pixel = rng.uniform(0, 255, (11, 3, 112, 112)).astype(np.float32)
    fast, plain = (SymbolEngine(symbol, arrays, mx.cpu(), fast=fast) for fast in (True, False))
    assert fast.form == "fused"
    expected = plain.run(pixel)  # 11 images: two runs of 8, the second one filled up
    np.testing.assert_allclose(fast.run(pixel), expected, rtol=2e-5, atol=2e-5)


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
    assert fast.form == "fused"
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
    assert fast.form == "fused"
    np.testing.assert_allclose(fast.run(pixels), plain.run(pixels), rtol=2e-5, atol=2e-5)
