import numpy as np
import pytest
from deploy_nets import operators

from gluonface._compat import mx
from gluonface.deploy.engines import SymbolEngine
from gluonface.deploy.rewriting.rewrite import rewrite

S = mx.sym


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
    assert fast.variant == "fused"
    expected = plain.run(pixel)  # 11 images: two runs of 8, the second one filled up
    np.testing.assert_allclose(fast.run(pixel), expected, rtol=2e-5, atol=2e-5)
