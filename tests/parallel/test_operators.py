import numpy as np
import pytest

from gluonface._compat import mx
from gluonface.parallel import _operators as ops

nd = mx.nd
SHAPES = [(1, 1, 1), (2, 3, 5), (16, 128, 300), (33, 64, 7001)]


@pytest.fixture(params=SHAPES, ids=str)
def arrays(request):
    n, size, classes = request.param
    rng = np.random.default_rng(0)
    return (
        rng.normal(size=(n, size)).astype("f"),
        rng.normal(size=(classes, size)).astype("f"),
        rng.normal(size=(n, classes)).astype("f"),
    )


def test_products_and_gradients(arrays):
    x, w, g = arrays
    got = ops.dense(nd.array(x), nd.array(w)).asnumpy()
    np.testing.assert_allclose(got, x @ w.T, rtol=1e-4, atol=1e-4)
    bias = np.arange(len(w), dtype="f")
    got = ops.dense(nd.array(x), nd.array(w), nd.array(bias)).asnumpy()
    np.testing.assert_allclose(got, x @ w.T + bias, rtol=1e-4, atol=1e-4)
    grad_w = nd.full(w.shape, 7.0)
    grad_x = ops.dense_gradients(nd.array(g), nd.array(x), nd.array(w), grad_w).asnumpy()
    np.testing.assert_allclose(grad_x, g @ w, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(grad_w.asnumpy(), g.T @ x, rtol=1e-4, atol=1e-4)


def test_reductions(arrays):
    _, w, g = arrays
    np.testing.assert_array_equal(ops.row_max(nd.array(g)).asnumpy(), g.max(1))
    np.testing.assert_array_equal(ops.row_max(nd.array(g - 1e9)).asnumpy(), (g - 1e9).max(1))
    sums = ops.column_sums(nd.array(g)).asnumpy()
    np.testing.assert_allclose(sums, g.sum(0), rtol=1e-5, atol=1e-5)
    w[0] = 0
    norms = np.linalg.norm(w.astype(np.float64), axis=1)
    want = np.divide(1, norms, out=np.zeros_like(norms), where=norms > 0)
    for wait in (True, False):
        got = ops.inverse_norms(nd.array(w), wait=wait).asnumpy()
        np.testing.assert_allclose(got, want, rtol=1e-6)


def test_scaled_rows_are_subtracted_in_pieces(arrays, monkeypatch):
    _, w, _ = arrays
    monkeypatch.setattr(ops, "CACHED", 7 * w.shape[1])  # pieces of 7 rows, the last one shorter
    factors = np.linspace(-1, 1, len(w)).astype("f")
    result = nd.ones(w.shape)
    ops.subtract_scaled(result, nd.array(w), nd.array(factors))
    np.testing.assert_allclose(result.asnumpy(), 1 - w * factors[:, None], rtol=1e-6, atol=1e-6)


def test_untracked_is_the_same_memory():
    weight = nd.ones((3, 4))
    other = ops.untracked(weight)
    weight[:] = 5
    nd.waitall()
    assert (other.asnumpy() == 5).all()


@pytest.mark.parametrize("k", [1, 2, 3, 10])
def test_largest_of_each_class(k):
    scores = np.random.default_rng(k).normal(size=(4, 7, k)).astype("f")
    np.testing.assert_array_equal(ops.class_max(nd.array(scores)).asnumpy(), scores.max(2))


def test_what_falls_on_one_place_adds_up():
    where = nd.array([3, 0, 3], dtype="int64")
    got = ops.add_at((5,), where, nd.array([1.0, 2.0, 4.0]))
    np.testing.assert_array_equal(got.asnumpy(), [2, 0, 0, 5, 0])
