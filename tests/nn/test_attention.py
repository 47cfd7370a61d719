import numpy as np
import pytest

from gluonface._compat import mx
from gluonface.errors import InputError
from gluonface.nn import CBAM, ECA, GCT, SE, PReLU, computing_on, gate

X = np.random.default_rng(0).standard_normal((3, 32, 4, 5))


@pytest.fixture(autouse=True)
def within_a_backbone(ours):
    """Blocks get our own operators there, or none."""
    with computing_on(mx.nd.array(X)):
        yield


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def run(block):
    """Return the block's output for X, eager and hybridized, and its parameters in float64."""
    rng = np.random.default_rng(1)
    block.initialize()
    for name, parameter in sorted(block._collect_params_with_prefix().items()):
        low = 0.5 if name.endswith("running_var") else -1
        parameter.set_data(mx.nd.array(rng.uniform(low, 1.5, parameter.shape)))
    x = mx.nd.array(X)
    y = block(x).asnumpy()
    block.hybridize()
    np.testing.assert_allclose(block(x).asnumpy(), y, rtol=1e-5, atol=1e-6)
    named = block._collect_params_with_prefix()
    return y, {k: p.data().asnumpy().astype("float64") for k, p in named.items()}


def close(got, want):
    # float32 sums of up to 98 products
    np.testing.assert_allclose(got, want, rtol=2e-5, atol=2e-5)


def linear(p, name, x):
    y = x @ p[f"{name}.weight"][:, :, 0, 0].T
    return y + p[f"{name}.bias"] if f"{name}.bias" in p else y


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", ["sigmoid", "hard_sigmoid"])
def test_se(bias, kind):
    y, p = run(SE(32, reduction=8, gate=kind, bias=bias))
    assert set(p) == {f"fc{i}.{n}" for i in (1, 2) for n in ("weight", *["bias"] * bias)}
    hidden = np.maximum(linear(p, "fc1", X.mean((2, 3))), 0)
    assert hidden.shape == (3, 4)
    z = linear(p, "fc2", hidden)
    factors = sigmoid(z) if kind == "sigmoid" else np.clip(z + 3, 0, 6) / 6
    close(y, X * factors[:, :, None, None])


def test_se_with_norm_and_prelu():
    y, p = run(SE(32, width=5, act=PReLU(5), norm=True))
    z = linear(p, "fc1", X.mean((2, 3)))
    z = (z - p["bn.running_mean"]) / np.sqrt(p["bn.running_var"] + 1e-5)
    z = z * p["bn.gamma"] + p["bn.beta"]
    z = np.where(z > 0, z, z * p["act.alpha"])
    close(y, X * sigmoid(linear(p, "fc2", z))[:, :, None, None])


def test_se_gate():
    with pytest.raises(InputError, match=r"gate 'tanh'.*hard_sigmoid"):
        SE(32, gate="tanh")


@pytest.mark.parametrize(("channels", "taps"), [(32, 3), (64, 3), (128, 5), (512, 5)])
def test_eca_taps(channels, taps):
    assert ECA(channels).conv.weight.shape == (1, 1, taps)


def test_eca():
    y, p = run(ECA(32))
    means = np.pad(X.mean((2, 3)), ((0, 0), (1, 1)))
    taps = p["conv.weight"][0, 0]
    z = sum(t * means[:, i : i + 32] for i, t in enumerate(taps))
    close(y, X * sigmoid(z)[:, :, None, None])


def test_cbam():
    y, p = run(CBAM(32))

    def mlp(v):
        return linear(p, "fc2", np.maximum(linear(p, "fc1", v), 0))

    x = X * sigmoid(mlp(X.mean((2, 3))) + mlp(X.max((2, 3))))[:, :, None, None]
    seen = np.pad(np.stack([x.max(1), x.mean(1)], 1), ((0, 0), (0, 0), (3, 3), (3, 3)))
    windows = np.lib.stride_tricks.sliding_window_view(seen, (7, 7), axis=(2, 3))
    z = np.einsum("nchwij,cij->nhw", windows, p["conv.weight"][0])
    z = (z - p["bn.running_mean"]) / np.sqrt(p["bn.running_var"] + 1e-5)
    close(y, x * sigmoid(z * p["bn.gamma"] + p["bn.beta"])[:, None])


def test_gct():
    y, p = run(GCT(32))
    e = np.sqrt((X**2).sum((2, 3)) + 1e-5) * p["alpha"][0, :, 0, 0]
    n = p["gamma"][0, :, 0, 0] * e / np.sqrt((e**2).mean(1, keepdims=True) + 1e-5)
    close(y, X * (1 + np.tanh(n + p["beta"][0, :, 0, 0]))[:, :, None, None])


def test_gct_starts_as_the_identity():
    block = GCT(32)
    block.initialize(mx.initializer.Xavier())  # which cannot set vectors
    np.testing.assert_array_equal(block(mx.nd.array(X)).asnumpy(), X.astype("float32"))


@pytest.mark.parametrize("shape", [(3, 32, 1, 1), (3, 1, 4, 5)])
def test_gradients_of_a_gate(shape):
    rng = np.random.default_rng(2)
    factors, out = rng.standard_normal(shape), rng.standard_normal(X.shape)
    inputs = [mx.nd.array(X), mx.nd.array(factors)]
    for array in inputs:
        array.attach_grad()
    with mx.autograd.record():
        y = gate(mx.nd, *inputs)
    y.backward(mx.nd.array(out))
    close(y.asnumpy(), X * factors)
    close(inputs[0].grad.asnumpy(), out * factors)
    axes = tuple(axis for axis in range(4) if shape[axis] == 1)
    close(inputs[1].grad.asnumpy(), (out * X).sum(axes, keepdims=True))
