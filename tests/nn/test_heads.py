import numpy as np
import pytest

from gluonface._compat import mx
from gluonface.nn import GDC, FCHead, FlatBatchNorm


def test_gdc_is_its_formula():
    head = GDC(4, 3, size=2)
    head.initialize(mx.initializer.Normal(1))
    rng = np.random.default_rng(0)
    for name in ("bn1", "bn2"):
        bn = getattr(head, name)
        for parameter in (bn.gamma, bn.beta, bn.running_mean, bn.running_var):
            parameter.set_data(mx.nd.array(rng.uniform(0.5, 1.5, parameter.shape)))
    p = {k: v.data().asnumpy() for k, v in head._collect_params_with_prefix().items()}
    x = rng.standard_normal((5, 4, 2, 2))

    def bn(y, name):
        mean, var = p[f"{name}.running_mean"], p[f"{name}.running_var"]
        return p[f"{name}.gamma"] * (y - mean) / np.sqrt(var + 1e-5) + p[f"{name}.beta"]

    y = bn((x * p["conv.weight"][:, 0]).sum((2, 3)), "bn1")
    want = bn(y @ p["fc.weight"].T, "bn2")
    np.testing.assert_allclose(head(mx.nd.array(x)).asnumpy(), want, rtol=1e-5, atol=1e-5)
    assert sum(v.size for k, v in p.items() if "running" not in k) == 4 * 4 + 2 * 4 + 4 * 3 + 2 * 3


def test_flat_batch_norm_after_a_map_of_the_same_size():
    """The order in which MXNet 1.9.1 crashes when the second BatchNorm sees a flat input."""
    conv = mx.gluon.nn.HybridSequential()
    conv.add(mx.gluon.nn.Conv2D(16, 1, in_channels=16), mx.gluon.nn.BatchNorm(in_channels=16))
    flat = FlatBatchNorm(in_channels=16)
    conv.initialize()
    flat.initialize()
    conv(mx.nd.ones((2, 16, 1, 1))).wait_to_read()
    x = np.random.default_rng(0).standard_normal((2, 16))
    y = flat(mx.nd.array(x)).asnumpy()
    np.testing.assert_allclose(y, x / np.sqrt(1 + 1e-5), rtol=1e-5)


@pytest.mark.parametrize(("scale", "center"), [(True, True), (False, True), (False, False)])
def test_fc_head_is_its_formula(scale, center):
    head = FCHead(4, 3, size=2, scale=scale, center=center)
    head.initialize(mx.initializer.Normal(1))
    rng = np.random.default_rng(0)
    for norm in (head.bn1, head.bn2):
        for parameter in (norm.gamma, norm.beta, norm.running_mean, norm.running_var):
            if parameter.grad_req != "null" or "running" in parameter.name:
                parameter.set_data(mx.nd.array(rng.uniform(0.5, 1.5, parameter.shape)))
    head.fc.bias.set_data(mx.nd.array(rng.standard_normal(3)))
    p = {k: v.data().asnumpy() for k, v in head._collect_params_with_prefix().items()}
    learnt = {k: v for k, v in head._collect_params_with_prefix().items() if v.grad_req != "null"}
    assert ("bn2.gamma" in learnt, "bn2.beta" in learnt) == (scale, center)
    count = sum(v.data().size for v in learnt.values())
    assert count == 2 * 4 + 4 * 2 * 2 * 3 + 3 + 3 * scale + 3 * center
    x = rng.standard_normal((5, 4, 2, 2))

    def bn(y, name, shape):
        mean, var, gamma, beta = (
            p[f"{name}.{key}"].reshape(shape)
            for key in ("running_mean", "running_var", "gamma", "beta")
        )
        return gamma * (y - mean) / np.sqrt(var + 1e-5) + beta

    y = bn(x, "bn1", (4, 1, 1)).reshape(5, -1) @ p["fc.weight"].T + p["fc.bias"]
    want = bn(y, "bn2", (3,))
    np.testing.assert_allclose(head(mx.nd.array(x)).asnumpy(), want, rtol=1e-5, atol=1e-5)
    with mx.autograd.train_mode():
        assert not np.allclose(head(mx.nd.array(x)).asnumpy(), want), "dropout"
