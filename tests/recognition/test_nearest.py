import json

import numpy as np
import pytest
from reference.nearest import nearest as slow

from gluonface.errors import InputError
from gluonface.native.plain import load_plain
from gluonface.recognition import nearest as module
from gluonface.recognition.gallery import make_templates
from gluonface.recognition.nearest import nearest


def units(rng, rows, size):
    x = rng.standard_normal((rows, size)).astype(np.float32)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def check(found, expected, k):
    cosines, rows = found
    for own_scores, own_rows, right in zip(cosines, rows, expected):
        assert own_rows.tolist() == [n for _, n in right] + [-1] * (k - len(right))
        np.testing.assert_allclose(own_scores[: len(right)], [s for s, _ in right], atol=1e-14)
        assert (own_scores[len(right) :] == -np.inf).all()


@pytest.mark.parametrize("rows", [1, 256, 300, 8192])
@pytest.mark.parametrize(("count", "k"), [(1, 1), (5, 9), (700, 1), (1300, 10), (1300, 400)])
def test_the_twin(monkeypatch, rows, count, k):
    rng = np.random.default_rng(count + k)
    matrix, queries = units(rng, count, 24), units(rng, 7, 24)
    monkeypatch.setattr(module, "QUERIES", 4)
    check(nearest(queries, matrix, k, rows=rows), slow(queries, matrix, k), k)
    check(nearest(queries, matrix, k, 0.3, rows=rows), slow(queries, matrix, k, 0.3), k)
    check(nearest(queries[:1], matrix, k, rows=rows), slow(queries[:1], matrix, k), k)


@pytest.mark.parametrize("rows", [256, 1024, 8192])
def test_of_equal_rows_the_first(monkeypatch, rows):
    """Everybody with one embedding, copies, zero rows: ties are the rule, and memory is bounded."""
    monkeypatch.setattr(module, "CANDIDATES", 500)
    rng = np.random.default_rng(3)
    one = units(rng, 1, 16)
    _, found = nearest(one.repeat(3, axis=0), one.repeat(3000, axis=0), 5, rows=rows)
    assert found.tolist() == [[0, 1, 2, 3, 4]] * 3
    matrix = units(rng, 3000, 16)
    matrix[[2999, 1500, 40]] = one
    matrix[7] = 0
    cosines, found = nearest(one, matrix, 3, rows=rows)
    assert found.tolist() == [[40, 1500, 2999]]
    assert len(set(cosines[0].tolist())) == 1
    assert nearest(np.zeros((1, 16), np.float32), matrix, 2)[1].tolist() == [[0, 1]]
    assert nearest(-one, one.repeat(20, axis=0), 2)[1].tolist() == [[0, 1]]  # all are negative


def test_nobody_to_be_found():
    empty = np.zeros((0, 4), np.float32)
    one = np.eye(4, dtype=np.float32)[:1]
    assert nearest(one, empty, 2)[1].tolist() == [[-1, -1]]
    assert nearest(empty, one, 2)[1].shape == (0, 2)
    assert nearest(one, one, 2, above=1.0)[1].tolist() == [[-1, -1]]  # not above itself


def test_the_reference(shared):
    folder = shared / "reference/recognition"
    arrays = np.load(folder / "use.npz")
    raw, person, probes = (arrays[f"search_{name}"] for name in ("raw", "person", "probe"))
    templates = make_templates(raw, person, "sum", np.float64)[1]
    templates[7] = templates[3]
    note = json.loads((folder / "use.json").read_text())["gallery"]["note"]
    assert "person 7's template is set equal to 3's" in note
    probes = (probes / np.linalg.norm(probes, axis=1, keepdims=True)).astype(np.float32)
    cosines, rows = nearest(probes, templates.astype(np.float32), 5)
    np.testing.assert_array_equal(rows, arrays["search_top"])
    np.testing.assert_allclose(cosines, arrays["search_score"], atol=2e-7)


@pytest.mark.parametrize(
    ("words", "text"),
    [({"k": 0}, "k is 0"), ({"k": 2.0}, "k is 2.0"), ({"k": 1, "rows": 0}, "rows is 0")],
)
def test_bad_input(words, text):
    with pytest.raises(InputError, match=text):
        nearest(np.eye(3, dtype=np.float32), np.eye(3, dtype=np.float32), **words)


def test_embeddings_of_two_sizes():
    with pytest.raises(InputError, match="the queries have 3 values and the matrix 4"):
        nearest(np.eye(3, dtype=np.float32), np.eye(4, dtype=np.float32), 1)


@pytest.fixture
def scan(monkeypatch):
    """Say in turn whether one query is compared by the compiled scan."""
    if module._compiled() is None:
        pytest.skip("needs a C++ compiler")
    compiled = module._compiled

    def use(wanted):
        monkeypatch.setattr(module, "_compiled", compiled if wanted else lambda: None)

    return use


@pytest.mark.parametrize("size", [1, 7, 8, 31, 32, 130])
@pytest.mark.parametrize("k", [1, 10, 700])
def test_the_compiled_scan_changes_nothing(scan, monkeypatch, size, k):
    """Also with NaN, infinities, ties, and more candidates than are held."""
    monkeypatch.setattr(module, "CANDIDATES", 500)
    rng = np.random.default_rng(size)
    matrix = units(rng, 4000, size)
    matrix[[3999, 2500, 40]] = matrix[39]
    matrix[[1, 300, 3000]] = np.nan
    matrix[[500, 3500], 0] = np.inf
    for query in (matrix[39:40], units(rng, 1, size), np.full((1, size), np.nan, np.float32)):
        for above in (-np.inf, 0.2):
            found = []
            for wanted in (True, False):
                scan(wanted)
                found.append(nearest(query, matrix, k, above, rows=256))
            np.testing.assert_array_equal(found[0][1], found[1][1])
            np.testing.assert_array_equal(found[0][0], found[1][0])  # to the last bit
    assert (found[0][1] == -1).all()  # of the query that is NaN


def test_matrices_that_the_scan_does_not_read(scan):
    """Others than float32 in one piece are left to NumPy."""
    matrix = units(np.random.default_rng(1), 600, 24).astype(np.float16).astype(np.float32)
    expected = nearest(matrix[:1], matrix, 5, rows=256)
    whole = np.zeros((600, 30), np.float32)
    whole[:, 3:27] = matrix
    for same in (whole[:, 3:27], np.asfortranarray(matrix), matrix.astype(np.float16)):
        for got, wanted in zip(nearest(matrix[:1], same, 5, rows=256), expected):
            np.testing.assert_array_equal(got, wanted)


def test_the_scan_on_two_threads(scan):
    rows_above = module._compiled()
    threads = load_plain("nearest", "", True).omp_set_num_threads
    rng = np.random.default_rng(2)
    matrix, query = units(rng, 5001, 120), units(rng, 1, 120)
    found = []
    try:
        for count in (1, 2, 3):
            threads(count)
            rows, products = np.zeros(5001, np.int64), np.zeros(5001, np.float32)
            arrays = [array.ctypes.data for array in (query, matrix, rows, products)]
            n = rows_above(*arrays[:2], *matrix.shape, 0.1, *arrays[2:])
            found.append((rows[:n], products[:n]))
    finally:
        threads(1)
    products = matrix @ query[0]
    near = np.abs(products - 0.1) < 1e-6  # rounding decides
    assert not near.any()
    np.testing.assert_array_equal(found[0][0], np.flatnonzero(products > 0.1))
    np.testing.assert_allclose(found[0][1], products[found[0][0]], atol=1e-6)
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])
