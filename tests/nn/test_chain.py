import json

import numpy as np
import pytest

from gluonface._compat import mx
from gluonface.nn import Chain, ConvBN, PReLU, Swish, set_prelu_form


def run(block, x, out):
    x = mx.nd.array(x)
    x.attach_grad()
    with mx.autograd.record():
        y = block(x)
    y.backward(mx.nd.array(out))
    return y.asnumpy(), x.grad.asnumpy()


# oneDNN blocks channels by 16 or by 8; where output and gradient differ in that, as in the first
# three, BatchNormWithReLU has no backward pass.
@pytest.mark.parametrize("widths", [(32, 96, 24), (24, 96, 32), (104, 32, 16), (32, 24, 20)])
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("groups", [1, 2, "all"])
def test_fast_form_equals_the_others(widths, shared, groups):
    inputs, width, outputs = widths
    outputs, groups = (width, width) if groups == "all" else (outputs, groups)
    block = Chain(
        ConvBN(inputs, width, act=PReLU(width, shared=shared)),
        ConvBN(width, outputs, 3, groups=groups),
        Swish(),
        ConvBN(outputs, inputs),
        residual=True,
    )
    mx.random.seed(2)
    block.initialize(mx.initializer.Normal(0.1))
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, inputs, 6, 6))
    out = rng.standard_normal(x.shape)
    fast = run(block, x, out)
    set_prelu_form(block, "elementwise")
    for got, want in zip(fast, run(block, x, out)):
        # float32 sums of up to 900 products
        np.testing.assert_allclose(got, want, rtol=1e-3, atol=2e-4 * np.abs(want).max())


def used(block):
    """Return the operators of a block's graph in the composed form."""
    nodes = json.loads(block(mx.sym.var("data")).tojson())["nodes"]
    return [node["op"] for node in nodes if node["op"] != "null"]


def test_batch_norm_and_prelu_go_with_the_next_convolution_across_blocks():
    inner = Chain(ConvBN(16, 16, act=PReLU(16)))
    assert "_contrib_BatchNormWithReLU" not in used(Chain(inner))
    assert "_contrib_BatchNormWithReLU" in used(Chain(inner, Chain(ConvBN(16, 16))))
    assert "_contrib_BatchNormWithReLU" not in used(
        Chain(inner, Chain(ConvBN(16, 16), residual=True))
    )


def test_not_without_a_convolution_before_them():
    """There BatchNormWithReLU has wrong gradients in MXNet 1.9.1."""
    bn, prelu, conv = mx.gluon.nn.BatchNorm(in_channels=16), PReLU(16), ConvBN(16, 16)
    assert "_contrib_BatchNormWithReLU" not in used(Chain(bn, prelu, conv))
    assert "_contrib_BatchNormWithReLU" not in used(Chain(ConvBN(16, 16), Swish(), prelu, conv))
