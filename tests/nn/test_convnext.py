import numpy as np
from reference import transformer
from reference.twins import check_twin

from gluonface._compat import mx
from gluonface.nn import ChannelNorm, ConvNeXtBlock, LayerScale, PooledHead, downsample

X = np.random.default_rng(0).standard_normal((2, 6, 5, 5))


def test_channel_norm():
    def twin(p, x):
        y = transformer.layer_norm(transformer.tokens(x), p["gamma"], p["beta"])
        return transformer.as_map(y, x)

    check_twin(ChannelNorm(6), twin, X)


def test_eps_is_that_of_the_papers():
    """1e-5, which Gluon's LayerNorm takes, shows where all channels are nearly alike."""
    net = ChannelNorm(6)
    net.initialize()
    x = X * 1e-3
    y = transformer.layer_norm(transformer.tokens(x), 1, 0, eps=1e-6)
    got = net(mx.nd.array(x)).asnumpy()
    np.testing.assert_allclose(got, transformer.as_map(y, x), rtol=0, atol=1e-5)


def test_layer_scale():
    check_twin(LayerScale(5), lambda p, x: p["gamma"] * x, X)


def test_convnext_block():
    for kernel in (3, 7):
        check_twin(ConvNeXtBlock(6, kernel), transformer.convnext_block, X)


def test_a_block_is_skipped_by_a_share_of_the_samples():
    block = ConvNeXtBlock(6, drop=0.5)
    block.initialize()
    block.scale.gamma.set_data(mx.nd.ones(6))
    x = mx.nd.array(np.repeat(X[:1], 64, axis=0))
    mx.random.seed(2)
    with mx.autograd.train_mode():
        y = (block(x) - x).asnumpy().reshape(64, -1)
    skipped = (y == 0).all(axis=1)
    assert 0 < skipped.sum() < 64
    whole = 2 * (block(x) - x).asnumpy().reshape(64, -1)
    np.testing.assert_allclose(y[~skipped], whole[~skipped], rtol=1e-4, atol=1e-5)


def test_downsample_drops_what_is_left_over():
    net = downsample(6, 4)
    net.initialize()
    assert net(mx.nd.array(X)).shape == (2, 4, 2, 2)
    changed = X.copy()
    changed[:, :, 4] = changed[:, :, :, 4] = 9
    same = net(mx.nd.array(X)).asnumpy() == net(mx.nd.array(changed)).asnumpy()
    assert same.all()


def test_pooled_head():
    def twin(p, x):
        return transformer.linear(p, "fc", transformer.norm(p, "norm", x.mean((2, 3))))

    check_twin(PooledHead(6, 4), twin, X)
