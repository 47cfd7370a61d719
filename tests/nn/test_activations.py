import contextlib

import numpy as np
import pytest

from gluonface._compat import mx
from gluonface.errors import InputError
from gluonface.nn import (
    FORMS,
    PReLU,
    Swish,
    bn_prelu_conv,
    computing_on,
    prelu_form,
    set_prelu_form,
    without_onednn,
)
from tests.reference import prelu as reference

# Every case that the fast form treats in its own way, several times over: below, at and above
# 0 and 1, next to 1 in float32, and large.
SLOPES = np.array([0.25, 0, 1, 2.5, -0.7, 1e-3, 1 - 2**-24, 1 + 2**-23, -3, 40, 1, 0.25], "float32")
C = len(SLOPES)
# Float32 sums over 6 * 25 numbers of size 1: 1e-5 is ten times what was seen, a hundredth of the
# smallest mistake (a sign or a factor of one channel).
CLOSE = {"rtol": 1e-5, "atol": 1e-5}


def close(a, b, **kwargs):
    scale = max(1, np.abs(b).max())
    np.testing.assert_allclose(a / scale, b / scale, **{**CLOSE, **kwargs})


def images(seed=0, shape=(6, C, 5, 5)):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def backward(block, x, out):
    x = mx.nd.array(x)
    x.attach_grad()
    with mx.autograd.record():
        y = block(x)
    y.backward(mx.nd.array(out))
    return y.asnumpy(), x.grad.asnumpy()


@pytest.mark.parametrize("hybridize", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_prelu_is_the_formula_for_any_slope(form, hybridize):
    block = PReLU(C, form)
    block.initialize()
    block.alpha.set_data(mx.nd.array(SLOPES))
    if hybridize:
        block.hybridize(static_alloc=True, static_shape=True)
    x, out = images(), images(1)
    x[0, :, 0, 0] = 0  # the kink itself
    y, dx = backward(block, x, out)
    want_dx, want_alpha = reference.prelu_gradients(x, SLOPES, out)
    close(y, reference.prelu(x, SLOPES))
    close(dx, want_dx)
    close(block.alpha.grad().asnumpy(), want_alpha)
    close(block(mx.nd.array(x)).asnumpy(), y)


def test_starts_at_a_quarter_under_any_initialiser():
    block = PReLU(3)
    block.initialize(mx.initializer.Xavier())
    np.testing.assert_array_equal(block.alpha.data().asnumpy(), [0.25] * 3)


@pytest.mark.parametrize("form", FORMS)
def test_inference_leaves_the_parameter_alone(form):
    """Eager inference turns the weights of convolutions into oneDNN's layout, in place."""
    block = PReLU(32, form)
    block.initialize()
    x = mx.nd.array(images(shape=(2, 32, 4, 4)))
    first = block(x).asnumpy()
    block.hybridize()
    np.testing.assert_array_equal(block(x).asnumpy(), first)
    block.alpha.set_data(block.alpha.data() * 2)
    assert block.alpha.data().asnumpy().tolist() == [0.5] * 32


class Unit(mx.gluon.HybridBlock):
    """BatchNorm, PReLU and a 1x1 convolution, dense or depthwise."""

    def __init__(self, depthwise, **kwargs):
        super().__init__(**kwargs)
        conv = {"groups": C} if depthwise else {}
        self.bn = mx.gluon.nn.BatchNorm(in_channels=C)
        self.prelu = PReLU(C)
        self.conv = mx.gluon.nn.Conv2D(
            C if depthwise else 4, 1, in_channels=C, use_bias=False, **conv
        )

    def hybrid_forward(self, F, x):
        return bn_prelu_conv(F, x, self.bn, self.prelu, self.conv)


def make_unit(form, depthwise, hybridize=False):
    unit = Unit(depthwise)
    unit.initialize()
    rng = np.random.default_rng(5)
    for name, parameter in sorted(unit._collect_params_with_prefix().items()):
        value = rng.uniform(0.5, 1.5, parameter.shape) * rng.choice([-1, 1], parameter.shape)
        value = np.abs(value) if name == "bn.running_var" else value
        parameter.set_data(mx.nd.array(SLOPES if name == "prelu.alpha" else value))
    set_prelu_form(unit, form)
    if hybridize:
        unit.hybridize(static_alloc=True, static_shape=True)
    return unit


@pytest.mark.parametrize("hybridize", [False, True])
@pytest.mark.parametrize("depthwise", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_unit_against_numpy(form, depthwise, hybridize):
    unit = make_unit(form, depthwise, hybridize)
    p = {k: v.data().asnumpy() for k, v in unit._collect_params_with_prefix().items()}
    x = 2 * images() + 0.5
    eps, keep = 1e-5, 0.9

    def forward(mean, var):
        v = reference.batch_norm(x, p["bn.gamma"], p["bn.beta"], mean, var, eps)
        a = reference.prelu(v, SLOPES)
        return v, a, reference.conv1x1(a, p["conv.weight"])

    close(unit(mx.nd.array(x)).asnumpy(), forward(p["bn.running_mean"], p["bn.running_var"])[2])

    mean, var = x.mean((0, 2, 3), dtype="float64"), x.var((0, 2, 3), dtype="float64")
    v, a, want = forward(mean, var)
    out = images(1, want.shape)
    y, dx = backward(unit, x, out)
    close(y, want)
    da, d_weight = reference.conv1x1_gradients(a, p["conv.weight"], out)
    dv, d_alpha = reference.prelu_gradients(v, SLOPES, da)
    want_dx, d_gamma, d_beta = reference.batch_norm_gradients(x, p["bn.gamma"], eps, dv)
    close(dx, want_dx)
    got = {
        k: v.grad().asnumpy()
        for k, v in unit._collect_params_with_prefix().items()
        if v.grad_req != "null"
    }
    if form == "plain" and hybridize:
        # MXNet's fault, the reason for the form "elementwise": the gradient of the slopes comes
        # multiplied by the slopes. If this fails, MXNet has been mended.
        close(got.pop("prelu.alpha"), SLOPES * d_alpha)
        got["prelu.alpha"] = d_alpha
    for name, value in [
        ("conv.weight", d_weight),
        ("prelu.alpha", d_alpha),
        ("bn.gamma", d_gamma),
        ("bn.beta", d_beta),
    ]:
        close(got.pop(name), value)
    assert not got
    # One step of the running statistics, not two. MXNet keeps the biased variance.
    close(unit.bn.running_mean.data().asnumpy(), keep * p["bn.running_mean"] + (1 - keep) * mean)
    close(unit.bn.running_var.data().asnumpy(), keep * p["bn.running_var"] + (1 - keep) * var)


@pytest.mark.parametrize("form", ["elementwise", "plain"])
def test_channel_that_never_varies_has_the_same_gradients(form):
    """Its BatchNorm gives exactly beta = 0, where PReLU has its kink."""
    x, gradients = images(), []
    x[:, 3] = 7
    for each in ("fast", form):
        unit = make_unit(each, depthwise=False)
        unit.bn.beta.set_data(mx.nd.zeros(C))
        _, dx = backward(unit, x, images(1, (6, 4, 5, 5)))
        gradients.append((unit.bn.beta.grad().asnumpy(), dx))
    for a, b in zip(*gradients):
        close(a, b, atol=1e-4)  # dx of that channel is multiplied by 1 / sqrt(eps)


def operators(form, unit, dtype="float32"):
    unit.cast(dtype)
    with prelu_form(form):
        return unit(mx.sym.var("data")).tojson()


def test_forms_take_the_operators_they_promise():
    unit = make_unit("fast", depthwise=False)
    assert "BatchNormWithReLU" in operators("fast", unit)
    assert "LeakyReLU" not in operators("fast", unit)
    assert "BatchNormWithReLU" not in operators("plain", unit)
    assert "LeakyReLU" in operators("plain", unit)


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_falls_back_where_onednn_has_no_operator(dtype):
    graph = operators("fast", make_unit("fast", depthwise=False), dtype)
    assert "broadcast_mul" in graph
    assert "BatchNormWithReLU" not in graph


def test_falls_back_for_a_fixed_gamma():
    unit = make_unit("fast", depthwise=False)
    unit.bn = mx.gluon.nn.BatchNorm(in_channels=C, scale=False)
    unit.bn.initialize()
    assert "BatchNormWithReLU" not in operators("fast", unit)
    x = mx.nd.array(images())
    with prelu_form("plain"):
        want = unit(x).asnumpy()
    close(unit(x).asnumpy(), want)


def test_float64_computes():
    unit = make_unit("fast", depthwise=True)
    unit.cast("float64")
    assert unit(mx.nd.array(images(), dtype="float64")).dtype == np.float64


def test_parameters_go_between_the_forms_by_file(tmp_path):
    fast, plain = make_unit("fast", True), make_unit("plain", True)
    plain.initialize(mx.initializer.One(), force_reinit=True)
    assert list(fast._collect_params_with_prefix()) == list(plain._collect_params_with_prefix())
    fast.save_parameters(str(tmp_path / "a.params"))
    plain.load_parameters(str(tmp_path / "a.params"))
    x = mx.nd.array(images())
    close(plain(x).asnumpy(), fast(x).asnumpy())


def test_the_form_of_a_hybridized_net_can_change():
    unit = make_unit("fast", False, hybridize=True)
    x = mx.nd.array(images())
    before = unit(x).asnumpy()
    set_prelu_form(unit, "plain")
    assert unit.prelu.active_form == "plain"
    after = unit(x).asnumpy()
    close(after, before)
    assert np.abs(after - before).max() > 0  # other operators, other rounding


def test_prelu_form_ends_with_its_block():
    block = PReLU(2)

    def fail():
        with prelu_form("plain"):
            assert block.active_form == "plain"
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert block.active_form == "fast"


def test_fast_is_for_cpus():
    block = PReLU(2)
    with without_onednn():
        assert block.active_form == "elementwise"
        with prelu_form("plain"):
            assert block.active_form == "plain"
    assert block.active_form == "fast"


def test_unknown_form():
    for call in (lambda: PReLU(2, "quick"), lambda: set_prelu_form(PReLU(2), "quick")):
        with pytest.raises(InputError, match="'quick'; expected one of fast, elementwise, plain"):
            call()


def run_within(block, x, out):
    """`backward` as within a backbone, where our own operators are allowed."""
    with computing_on(mx.nd.array(x)):
        return backward(block, x, out)


@pytest.mark.parametrize("hybridize", [False, True])
@pytest.mark.parametrize("shared", [False, True])
def test_our_prelu_in_a_block(our_operators, shared, hybridize):
    block = PReLU(C, shared=shared)
    block.initialize()
    slopes = SLOPES[:1] if shared else SLOPES
    block.alpha.set_data(mx.nd.array(slopes))
    if hybridize:
        block.hybridize(static_alloc=True, static_shape=True)
    x, out = images(), images(1)
    x[0, :, 0, 0] = 0
    y, dx = run_within(block, x, out)
    want_dx, want_alpha = reference.prelu_gradients(x, np.broadcast_to(slopes, C), out)
    close(y, reference.prelu(x, np.broadcast_to(slopes, C)))
    close(dx, want_dx)
    close(block.alpha.grad().asnumpy(), want_alpha.sum(keepdims=True) if shared else want_alpha)


@pytest.mark.parametrize("hybridize", [False, True])
def test_our_swish_in_a_block(our_operators, hybridize):
    block = Swish()
    if hybridize:
        block.hybridize()
    x, out = 3 * images(), images(1)
    y, dx = run_within(block, x, out)
    sigmoid = 1 / (1 + np.exp(-x.astype("float64")))
    close(y, x * sigmoid)
    close(dx, out * sigmoid * (1 + x * (1 - sigmoid)))


@pytest.mark.parametrize("hybridize", [False, True])
@pytest.mark.parametrize("depthwise", [False, True])
def test_unit_with_our_prelu_is_the_composed_one(our_operators, depthwise, hybridize):
    x, out = 2 * images() + 0.5, images(1, (6, C if depthwise else 4, 5, 5))
    results = []
    for run in (run_within, backward):
        unit = make_unit("fast", depthwise, hybridize)
        y, dx = run(unit, x, out)
        parameters = unit._collect_params_with_prefix()
        if hybridize:
            assert ("_gluonface_prelu" in unit._cached_graph[1].tojson()) == (run is run_within)
        gradients = {k: p.grad().asnumpy() for k, p in parameters.items() if p.grad_req != "null"}
        kept = {k: p.data().asnumpy() for k, p in parameters.items() if "running" in k}
        results.append({"y": y, "dx": dx, **gradients, **kept})
    assert len(results[0]) == 8
    for name, value in results[0].items():
        close(value, results[1][name])


def test_ours_are_for_float32_on_a_cpu_and_no_other_form(our_operators):
    unit = make_unit("fast", depthwise=False)

    def used(x, form=None):
        unit.cast(x.dtype)
        with computing_on(x), prelu_form(form) if form else contextlib.nullcontext():
            return "_gluonface" in unit(mx.sym.var("data")).tojson()

    x = mx.nd.array(images())
    assert used(x)
    assert not used(x, "plain")
    assert not used(x, "elementwise")
    assert not used(x.astype("float64"))
    assert not used(x.astype("float16"))
