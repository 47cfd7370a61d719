import numpy as np
import pytest

from gluonface._compat import mx
from gluonface.head import array_operations as ops

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


@pytest.fixture(params=["compiled", "host", "device"])
def place(request, monkeypatch):
    """Run a test with compiled functions, with NumPy, and with the operators of a GPU."""
    monkeypatch.setattr(ops, "on_host", lambda array: request.param != "device")
    if request.param == "host":
        monkeypatch.setattr(ops, "_compiled", lambda: None)
    if request.param == "compiled" and ops._compiled() is None:
        pytest.skip("needs a C++ compiler")


def test_lengths(arrays, place):
    w = arrays[1]
    w[0] = 0
    norms = np.linalg.norm(w.astype(np.float64), axis=1)
    want = np.divide(1, norms, out=np.zeros_like(norms), where=norms > 0)
    for wait in (True, False):
        got = ops.inverse_norms(nd.array(w), wait=wait).asnumpy()
        np.testing.assert_allclose(got, want, rtol=1e-6)


@pytest.mark.parametrize("least", [1, 1 << 19])
def test_exponentials(arrays, place, least, monkeypatch):
    monkeypatch.setattr(ops, "CACHED", least)  # pieces of one row, and of all
    scores = arrays[2]
    n, classes = scores.shape
    columns, shift = (np.linspace(a, b, classes, dtype="f") for a, b in ((0.5, 1.5), (0, 2)))
    own = np.array([range(n), [classes // 2] * n])
    targets = np.linspace(-1, 200, n).astype("f")
    z = 3.0 * scores.astype(np.float64) * columns + shift
    z[tuple(own)] = targets
    got = nd.array(scores)
    top, spread = ops.exponentials(
        got, 3.0, *map(nd.array, (columns, shift)), nd.array(own, dtype="int64"), nd.array(targets)
    )
    np.testing.assert_allclose(top.asnumpy(), z.max(1), rtol=1e-6)
    want = np.exp(z - z.max(1, keepdims=True))
    # float32 logits of size 200 are known to 2e-5, and so is the exponential, relatively.
    np.testing.assert_allclose(got.asnumpy(), want, rtol=5e-5, atol=1e-30)
    np.testing.assert_allclose(spread.asnumpy(), want.sum(1), rtol=5e-5)
    plain = nd.array(scores)
    top, _ = ops.exponentials(plain, 1.0)
    np.testing.assert_array_equal(top.asnumpy(), scores.max(1))


def test_scaling(arrays, place):
    scores = arrays[2]
    n, classes = scores.shape
    columns, rows, less = (np.linspace(1, 2, k, dtype="f") for k in (classes, n, n))
    got = nd.array(scores)
    ops.scale_columns(got, nd.array(columns))
    np.testing.assert_allclose(got.asnumpy(), scores * columns, rtol=1e-6)
    own = np.array([[n - 1], [0]])
    slopes = scores[::-1].copy()
    got = nd.array(scores)
    ops.scale_rows_and_columns(
        got,
        nd.array(rows),
        nd.array(columns),
        nd.array(slopes),
        nd.array(less),
        nd.array(own, dtype="int64"),
        nd.array([5.0]),
    )
    want = (scores * rows[:, None] - less[:, None]) * slopes
    want[n - 1, 0] = 5.0
    want *= columns
    np.testing.assert_allclose(got.asnumpy(), want, rtol=1e-4, atol=1e-5)
    got = ops.weighted_columns(nd.array(scores), nd.array(rows)).asnumpy()
    np.testing.assert_allclose(got, rows @ scores, rtol=1e-4, atol=1e-4)


def test_what_is_along_the_rows_is_taken_off(arrays, place, monkeypatch):
    _, w, _ = arrays
    monkeypatch.setattr(ops, "CACHED", 7 * w.shape[1])  # pieces of 7 rows, the last one shorter
    g = np.random.default_rng(1).normal(size=w.shape).astype("f")
    w[0] = 0
    got = nd.array(g)
    ops.subtract_radial(got, nd.array(w), ops.inverse_norms(nd.array(w)))
    square = np.maximum((w * w).sum(1), 1e-30)
    want = g - w * ((g * w).sum(1) / square)[:, None]
    np.testing.assert_allclose(got.asnumpy(), want, rtol=1e-4, atol=1e-5)


def test_memory_is_shared_both_ways():
    array = nd.ones((3, 4))
    view = ops.as_numpy(array)
    view[1] = 5
    assert array.asnumpy()[1].tolist() == [5.0] * 4
    del array  # the view keeps it
    assert view.sum() == 28
    values = np.zeros((2, 3), np.float32)
    other = ops.as_ndarray(values)
    other[:] = 7
    nd.waitall()
    assert (values == 7).all()


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


def test_matrices_of_about_a_size_fit_where_another_one_was():
    """Sampled classes vary by a few per cent from step to step."""
    rooms = [ops._room(columns) for columns in range(98_000, 102_000)]
    assert len(set(rooms)) <= 3
    for columns in (1, 2, 31, 32, 33, 1000, 50_000, 65_535, 65_536, 1_000_000):
        assert columns <= ops._room(columns) <= columns * (1 + 1 / 32)
    matrix = ops.empty_matrix((3, 98_001), mx.cpu())
    assert matrix.shape == (3, 98_001)
    matrix[:] = 1
    np.testing.assert_array_equal(ops.as_numpy(matrix), np.ones((3, 98_001)))
