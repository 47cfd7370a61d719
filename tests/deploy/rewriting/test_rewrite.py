import numpy as np
from deploy_nets import operators, pixels

from gluonface._compat import mx
from gluonface.deploy.engines import SymbolEngine
from gluonface.deploy.export import trace
from gluonface.deploy.rewriting.rewrite import rewrite
from gluonface.weights.mxnet_params import split_params

S = mx.sym


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

    x = pixels(images[:1]).asnumpy()
    plain = SymbolEngine(symbol, arrays, mx.cpu(), fast=False).run(x)
    fast = SymbolEngine(symbol, arrays, mx.cpu()).run(x)
    assert plain.std() > 0.1
    np.testing.assert_allclose(fast, plain, rtol=0, atol=5e-5)  # 50 layers of float32
