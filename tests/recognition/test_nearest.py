import json

import numpy as np
import pytest
from reference.nearest import nearest as slow

from gluonface.errors import InputError
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
