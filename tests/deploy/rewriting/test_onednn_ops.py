import numpy as np
import pytest
from deploy_nets import operators

from gluonface._compat import mx
from gluonface.deploy.engines import SymbolEngine
from gluonface.deploy.rewriting.rewrite import rewrite

S = mx.sym


CASES = {
    "mean over the map": (lambda x: S.mean(x, axis=(2, 3), keepdims=True), {"Pooling"}, {"mean"}),
    "sum over the map": (lambda x: S.sum(x, axis=(2, 3)), {"Pooling", "_mul_scalar"}, {"sum"}),
    "mean over channels": (lambda x: S.mean(x, axis=1, keepdims=True), {"Convolution"}, {"mean"}),
    "maximum over channels": (
        lambda x: S.max(x, axis=1, keepdims=True),
        {"Pooling", "Reshape"},
        {"max"},
    ),
    "hard sigmoid": (lambda x: S.hard_sigmoid(x), {"clip"}, {"hard_sigmoid"}),
    "sum of three": (lambda x: S.add_n(x, x * 2, x * 3), {"elemwise_add"}, {"add_n"}),
    "sigmoid": (lambda x: S.sigmoid(x), {"Activation"}, {"sigmoid"}),
    "mean of everything else": (lambda x: S.mean(x, axis=1, exclude=True), {"mean"}, set()),
}


@pytest.mark.parametrize("name", CASES)
def test_operators_of_onednn_give_the_same(name, no_operators):
    function, new, gone = CASES[name]
    x = S.Convolution(S.var("data"), kernel=(3, 3), stride=(8, 8), num_filter=4, name="one")
    symbol = S.Flatten(function(x) + 0)
    rng = np.random.RandomState(0)
    args = {"one_weight": rng.normal(0, 0.01, (4, 3, 3, 3)), "one_bias": rng.normal(0, 1, 4)}
    args = {name: value.astype(np.float32) for name, value in args.items()}
    used = set(operators(rewrite(symbol, args)[0]))
    assert new <= used
    assert not gone & used
    arrays = {f"arg:{name}": value for name, value in args.items()}
    pixels = rng.uniform(0, 255, (3, 3, 112, 112)).astype(np.float32)
    fast, plain = (SymbolEngine(symbol, arrays, mx.cpu(), fast=fast) for fast in (True, False))
    np.testing.assert_allclose(fast.run(pixels), plain.run(pixels), rtol=2e-5, atol=2e-5)
