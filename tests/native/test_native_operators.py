"""Our operators against NumPy, in the layouts and requests that networks bring about."""

import numpy as np
import pytest

from gluonface import native
from gluonface._compat import mx
from gluonface.native.check import CASES, TOLERANCE, compare, compare_depthwise
from tests.reference import prelu as prelu_reference

pytestmark = pytest.mark.usefixtures("our_operators")


def others(name, shape):
    n, c, h, w = shape
    return {
        "prelu": [(c,), (1,)],
        "gate": [(n, c, 1, 1), (n, 1, h, w)],
        "product": [shape],
        "mean": [None],
        "blocks": [None],
        "gradient_blocks": [None],
        "relu6": [None],
    }[name]


@pytest.mark.parametrize("blocked", [False, True], ids=["plain", "blocked"])
@pytest.mark.parametrize("hybridize", [False, True], ids=["eager", "graph"])
@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("name", native.NAMES)
def test_values_and_gradients(name, case, hybridize, blocked):
    shape = (3, case[0], case[1], case[1] + 1)
    for other in others(name, shape):
        assert compare(name, shape, other, blocked, hybridize, seed=1) < TOLERANCE


@pytest.mark.parametrize("blocked", [False, True], ids=["plain", "blocked"])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [3, 5])
def test_depthwise_convolution(size, stride, blocked):
    for channels, length in (*CASES, (16, 20), (48, 9), (72, 2)):
        shape = (2, channels, length, length + 1)
        assert compare_depthwise(shape, size, stride, blocked, seed=1) < TOLERANCE


def arrays(*shapes, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype("float32") for shape in shapes]


def call(name, *inputs):
    return getattr(mx.nd._internal, f"_gluonface_{name}")(*inputs)


def blocked(array):
    """The same values in a layout of oneDNN's: what a convolution with the identity gives."""
    channels = array.shape[1]
    eye = mx.nd.array(np.eye(channels).reshape(channels, channels, 1, 1))
    return mx.nd.Convolution(array, eye, kernel=(1, 1), num_filter=channels, no_bias=True)


SHAPE = (2, 16, 5, 6)


@pytest.mark.parametrize("name", native.NAMES)
def test_gradients_are_added_where_that_is_asked_for(name):
    for other_shape in others(name, SHAPE):
        values = arrays(*filter(None, (SHAPE, other_shape)))
        (out,) = arrays((*SHAPE[:2], 1, 1) if name == "mean" else SHAPE, seed=1)
        once = None
        for request in ("write", "add"):
            inputs = [mx.nd.array(value) for value in values]
            for array in inputs:
                array.attach_grad(request)
            for _ in range(2):
                with mx.autograd.record():
                    y = call(name, *inputs)
                y.backward(mx.nd.array(out))
            gradients = [array.grad.asnumpy() for array in inputs]
            once = once or gradients
        for one, two in zip(once, gradients):
            np.testing.assert_array_equal(2 * one, two)  # doubling is exact


@pytest.mark.parametrize("wanted", [0, 1])
@pytest.mark.parametrize("name", ["prelu", "gate", "product"])
def test_one_gradient_without_the_other(name, wanted):
    for other_shape in others(name, SHAPE):
        x, other, out = arrays(SHAPE, other_shape, SHAPE)
        results = []
        for both in (True, False):
            inputs = [mx.nd.array(x), mx.nd.array(other)]
            for number, array in enumerate(inputs):
                if both or number == wanted:
                    array.attach_grad()
            with mx.autograd.record():
                y = call(name, *inputs)
            y.backward(mx.nd.array(out))
            results.append(inputs[wanted].grad.asnumpy())
        np.testing.assert_array_equal(*results)


@pytest.mark.parametrize("layouts", [(False, True), (True, False), (True, True)])
def test_operands_in_different_layouts(layouts):
    x, other, out = arrays(SHAPE, SHAPE, SHAPE)
    inputs = [mx.nd.array(x), mx.nd.array(other)]
    for array in inputs:
        array.attach_grad()
    with mx.autograd.record():
        a, b = (blocked(v) if yes else v for v, yes in zip(inputs, layouts))
        y = call("product", a, b)
    y.backward(blocked(mx.nd.array(out)))
    np.testing.assert_array_equal(y.asnumpy(), x * other)
    np.testing.assert_array_equal(inputs[0].grad.asnumpy(), out * other)
    np.testing.assert_array_equal(inputs[1].grad.asnumpy(), out * x)


def test_parts_of_an_array():
    x, slopes = arrays((6, 16, 5, 5), (16,))
    whole = mx.nd.array(x)
    for part in (whole[2:4], whole.reshape((3, 32, 5, 5))[:, :16], blocked(whole)[1:3]):
        want = prelu_reference.prelu(part.asnumpy().astype("float64"), slopes)
        got = call("prelu", part, mx.nd.array(slopes)).asnumpy()
        np.testing.assert_allclose(got, want, rtol=1e-7)  # one product, rounded once


def test_the_result_may_be_written_over_the_input():
    x, slopes = arrays(SHAPE, (16,))
    for start in (mx.nd.array, lambda v: blocked(mx.nd.array(v))):
        array = start(x)
        call_into = mx.nd._internal._gluonface_prelu
        call_into(array, mx.nd.array(slopes), out=array)
        np.testing.assert_allclose(array.asnumpy(), prelu_reference.prelu(x, slopes), rtol=1e-7)


def test_ends_of_relu6():
    x = np.array([-1, 0, 3, 6, 7, np.nan], "float32").reshape(1, 1, 2, 3)
    array = mx.nd.array(x)
    array.attach_grad()
    with mx.autograd.record():
        y = call("relu6", array)
    y.backward()
    np.testing.assert_array_equal(y.asnumpy().ravel(), [0, 0, 3, 6, 6, np.nan])
    np.testing.assert_array_equal(array.grad.asnumpy().ravel()[:5], [0, 1, 1, 1, 0])


def test_not_a_number_stays_one():
    x = np.array([np.nan, np.inf, -np.inf, -0.0], "float32").reshape(1, 1, 2, 2)
    y = call("prelu", mx.nd.array(x), mx.nd.array([0.5])).asnumpy().ravel()
    np.testing.assert_array_equal(y, [np.nan, np.inf, -np.inf, -0.0])


def test_sums_over_many_pixels_are_exact_to_the_last_bits():
    """Float32 all along would lose 1e-4 over 200,000 pixels of one sign."""
    x, out = (np.abs(v) for v in arrays((1, 16, 448, 448), (1, 16, 448, 448)))
    factors = mx.nd.ones((1, 16, 1, 1))
    factors.attach_grad()
    with mx.autograd.record():
        y = call("gate", mx.nd.array(x), factors)
    y.backward(mx.nd.array(out))
    want = np.einsum("nchw,nchw->nc", x, out, dtype="float64").reshape(1, 16, 1, 1)
    np.testing.assert_allclose(factors.grad.asnumpy(), want, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "shapes", "words"),
    [
        ("prelu", ((2, 4, 3, 3), (3,)), "slopes of shape"),
        ("gate", ((2, 4, 3, 3), (1, 4, 1, 1)), "factors of shape"),
        ("gate", ((2, 4, 3, 3), (2, 4, 3, 1)), "factors of shape"),
        ("product", ((2, 4, 3, 3), (2, 4, 3, 1)), "maps of shapes"),
        ("mean", ((4,),), "expected a map"),
        ("depthwise1", ((2, 4, 9, 9), (7, 7, 4), (4,), (4,), (4,)), r"\(3, 3, C\) or \(5, 5, C\)"),
        ("depthwise2", ((2, 4, 9, 9), (3, 3, 4), (4,), (1,), (4,)), "one number per channel"),
    ],
)
def test_wrong_shapes_are_named(name, shapes, words):
    with pytest.raises(mx.MXNetError, match=words):
        call(name, *(mx.nd.ones(shape) for shape in shapes))


def test_other_types_are_refused():
    x, slopes = mx.nd.ones((2, 4, 3, 3), dtype="float64"), mx.nd.ones(4, dtype="float64")
    with pytest.raises(mx.MXNetError, match="expected float32"):
        call("prelu", x, slopes)


def test_they_are_given_where_they_are_allowed_only():
    assert native.operators(mx.nd) is None
    with native.allowed():
        assert native.operators(mx.nd) is not None
        with native.allowed():
            pass
        assert native.operators(mx.sym) is not None
    assert native.operators(mx.nd) is None
