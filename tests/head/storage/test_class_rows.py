"""Rows read and updated by compiled functions, against NumPy."""

import numpy as np
import pytest
from sampled_cases import backward, batch, close, head_of

from gluonface.head.row_optimizers import LazyUpdates, Nag, Sgd
from gluonface.head.storage import HostStore, class_rows
from gluonface.head.storage.class_rows import compiled_rows
from gluonface.native.plain import load_plain

COUNT, ALL = 300, 900


@pytest.fixture(scope="module")
def rows():
    found = compiled_rows()
    if found is None:
        pytest.skip("needs a C++ compiler")
    return found


def tables(width, apart, seed=0):
    """Return rows and momentum in one array, as on disk, or in two, and the ids of some."""
    rng = np.random.default_rng(seed)
    whole = rng.standard_normal((ALL, 2 * width)).astype(np.float32)
    parts = whole[:, :width], whole[:, width:]
    index = np.sort(rng.choice(ALL, COUNT, replace=False))
    return (*parts, index) if apart else (*map(np.ascontiguousarray, parts), index)


@pytest.mark.parametrize("width", [1, 7, 32, 130])
@pytest.mark.parametrize("apart", [False, True])
def test_rows_that_are_read(rows, width, apart):
    table, _, index = tables(width, apart)
    out = np.zeros((COUNT, width), np.float32)
    rows.read(table, index, out)
    np.testing.assert_array_equal(out, table[index])
    squares = np.zeros(COUNT, np.float32)
    rows.read(table, index, out, squares)
    np.testing.assert_allclose(squares, np.square(table[index], dtype="d").sum(1), rtol=1e-6)
    rows.read(table, index[:0], out[:0], squares[:0])
    if width % 2 == 0:  # two centres in a row
        squares = np.zeros(2 * COUNT, np.float32)
        rows.read(table, index, out, squares)
        each = table[index].reshape(-1, width // 2).astype("d")
        np.testing.assert_allclose(squares, np.square(each).sum(1), rtol=1e-6)


@pytest.mark.parametrize("width", [1, 7, 32, 130])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("wd", [0.0, 0.01])
@pytest.mark.parametrize("how", ["plain", "radial", "radial, lengths known"])
@pytest.mark.parametrize("place", ["some", "apart", "all"])
def test_updates_are_those_of_numpy(rows, width, momentum, wd, how, place):
    """To the last bit, but for the order in which inner products are summed."""
    table, state, index = tables(width, place == "apart", seed=width)
    gradient = np.random.default_rng(1).standard_normal((COUNT, width)).astype(np.float32)
    lr, scale = 0.05, 0.5
    where = slice(0, COUNT) if place == "all" else index
    w, v, g = table[where].copy(), state[where].copy(), gradient.copy()
    squares = np.einsum("ij,ij->i", w, w)
    factor = None
    if how != "plain":
        factor = HostStore.row_dot(g, w)
        factor /= -squares[:, None] - np.float32(1e-24)
    expected, rest, untouched = w.copy(), v.copy(), np.ones(ALL, bool)
    Sgd(momentum, wd).apply(expected, g, [rest] if momentum else [], lr, scale, factor)
    untouched[where] = False
    before, before_state = table[untouched], state[untouched]
    rows.update(
        table,
        state if momentum else None,
        None if place == "all" else index,
        w,
        gradient,
        how != "plain",
        squares if how == "radial, lengths known" else None,
        *(-lr * scale, lr * wd, momentum),
    )
    if how == "plain":
        np.testing.assert_array_equal(table[where], expected)
        np.testing.assert_array_equal(state[where], rest)
    else:  # of numbers of size 1 and sums of 130 products
        np.testing.assert_allclose(table[where], expected, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(state[where], rest, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(table[untouched], before)
    np.testing.assert_array_equal(state[untouched], before_state)


def test_rows_of_zeros_stay_where_their_gradient_leads(rows):
    table, out = np.zeros((2, 3), np.float32), np.ones((1, 3), np.float32)
    rows.update(table, None, np.array([1]), table[1:], out, True, None, -0.5, 0.0, 0.0)
    np.testing.assert_array_equal(table, [[0, 0, 0], [-0.5, -0.5, -0.5]])


def test_on_two_threads(rows):
    """The threads share rows, not sums."""
    threads = load_plain("class_rows", "", True).omp_set_num_threads
    width, found = 512, []
    gradient = np.random.default_rng(1).standard_normal((COUNT, width)).astype(np.float32)
    try:
        for count in (1, 2):
            threads(count)
            table, state, index = tables(width, False)
            given, squares = np.empty((COUNT, width), np.float32), np.empty(COUNT, np.float32)
            rows.read(table, index, given, squares)
            rows.update(table, state, index, given, gradient, True, squares, -0.1, 0.001, 0.9)
            found.append((squares, table, state))
    finally:
        threads(1)
    for one, two in zip(*found):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("name", ["cosface", "softmax", "subcenter_arcface", "uniface"])
@pytest.mark.parametrize("centers", ["host", "disk"])
def test_a_head_trains_as_without_them(rows, monkeypatch, tmp_path, name, centers):
    found = []
    for compiled in (rows, None):
        monkeypatch.setattr("gluonface.head.storage.host.compiled_rows", lambda c=compiled: c)
        head = head_of(name, centers=centers, centers_path=tmp_path)
        head.set_optimizer("sgd", momentum=0.9, wd=0.01)
        for t in range(3):
            x, labels = batch(seed=t)
            backward(head, x, labels)
            head.update(0.05)
        found.append({key: np.array(value) for key, value in head.row_arrays().items()})
    for key, values in found[1].items():
        # Inner products in another order, three steps with a scale of 64.
        close(found[0][key], values, 1e-5)
    assert class_rows.compiled_rows() is rows


@pytest.mark.parametrize("width", [1, 7, 32])
@pytest.mark.parametrize("rule", [Sgd(0.9, 0.01), Nag(0.9, 0.01), Sgd(0.0, 0.01)])
@pytest.mark.parametrize("apart", [False, True])
def test_missed_updates_are_those_of_numpy(rows, width, rule, apart):
    lazy = LazyUpdates()
    for step in range(5):
        lazy.advance(rule.step_matrix(0.1 / (1 + step)))
    table, state, index = tables(width, apart)
    last = np.random.default_rng(1).integers(0, 6, COUNT)
    w, v = table[index].copy(), state[index].copy()
    lazy.apply(last, w, [v] if rule.slots else [])
    out, squares = np.zeros((COUNT, width), np.float32), np.zeros(COUNT, np.float32)
    moved = state if rule.slots else None
    rows.read(table, index, out, squares, lazy.matrices(last), moved)
    for got, want in ((out, w), (table[index], w), (state[index], v)):
        np.testing.assert_array_equal(got, want)
    np.testing.assert_allclose(squares, np.square(w, dtype="d").sum(1), rtol=1e-6)
