import numpy as np
import pytest
from reference import transformer
from reference.twins import check_twin

from gluonface._compat import mx
from gluonface.nn import MLP, SelfAttention, TransformerBlock, gelu, linear
from gluonface.nn.transformer import drop_path

X = np.random.default_rng(0).standard_normal((2, 5, 12))


def test_gelu_is_the_exact_one():
    """Not the one by tanh, which is off by 5e-4 at 2; float32 in a table of oneDNN's by 8e-7."""
    x = np.linspace(-7, 7, 2001)
    x32 = mx.nd.array(x)
    x32.attach_grad()
    with mx.autograd.record():
        y = gelu(mx.nd, x32)
    y.backward()
    np.testing.assert_allclose(y.asnumpy(), transformer.gelu(x), rtol=0, atol=2e-6)
    slope = (transformer.gelu(x + 1e-5) - transformer.gelu(x - 1e-5)) / 2e-5
    np.testing.assert_allclose(x32.grad.asnumpy(), slope, rtol=0, atol=2e-6)


def test_linear_layers_of_tokens():
    assert linear(12, 8, bias=False).bias is None
    check_twin(MLP(12, 20), lambda p, x: transformer.mlp(p, "", x), X)


@pytest.mark.parametrize("bias", [True, False])
def test_self_attention(bias):
    block = SelfAttention(12, 3, bias)
    assert (block.qkv.bias is None) == (not bias)
    check_twin(block, lambda p, x: transformer.self_attention(p, x, 3), X)


def test_tokens_that_are_not_seen():
    block = SelfAttention(12, 3)
    block.initialize()
    p = {k: v.data().asnumpy().astype("f8") for k, v in block._collect_params_with_prefix().items()}
    unseen = np.zeros((2, 1, 5))
    unseen[1, 0, 2] = 3e4
    got = block(mx.nd.array(X), mx.nd.array(unseen.repeat(3, axis=0))).asnumpy()
    want = transformer.self_attention(p, X, 3, unseen=unseen)
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-6)
    assert np.abs(got - block(mx.nd.array(X)).asnumpy())[1].max() > 1e-3


def test_transformer_block():
    check_twin(TransformerBlock(12, 3, 20), lambda p, x: transformer.transformer_block(p, x, 3), X)


def test_paths_are_dropped_whole_in_training_alone():
    ones = mx.nd.ones((400, 2, 3))
    assert drop_path(mx.nd, ones, 0) is ones
    assert (drop_path(mx.nd, ones, 0.25) == ones).min().asscalar() == 1
    mx.random.seed(1)
    with mx.autograd.train_mode():
        y = drop_path(mx.nd, ones, 0.25).asnumpy().reshape(400, -1)
    assert (y == y[:, :1]).all()
    assert set(np.unique(y)) == {0, np.float32(4 / 3)}
    # 400 draws of 1/4 scatter by 0.022.
    assert abs((y[:, 0] == 0).mean() - 0.25) < 0.1
