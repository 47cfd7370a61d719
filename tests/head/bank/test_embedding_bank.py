"""Rows of embeddings beside the centres: how they move, and how changes are taken back."""

import numpy as np
import pytest
from reference import lvface as twin

from gluonface._compat import mx
from gluonface.head.bank.embedding_bank import EmbeddingBank

nd = mx.nd


def make(start=2, stop=12, **kwargs):
    options = {"place": "memory", "path": None, "label": "test", "undoes": True, **kwargs}
    return EmbeddingBank(start, stop, 5, mx.cpu(), **options)


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


@pytest.mark.parametrize("moving", [True, False])
@pytest.mark.parametrize("place", ["memory", "disk"])
def test_rows_move_towards_the_mean_direction(moving, place, tmp_path):
    bank, rng = make(place=place, path=tmp_path), np.random.default_rng(0)
    want = np.zeros((14, 5))
    for _ in range(3):
        x, labels = unit(rng.normal(size=(9, 5))).astype("f"), rng.integers(0, 14, 9)
        want = twin.update(want, x, labels, moving)
        bank.average(nd.array(x), labels, moving)
    np.testing.assert_allclose(bank.rows(), want[2:12], rtol=1e-5, atol=1e-6)
    assert not np.any(bank.rows()[~want[2:12].any(axis=1)])  # exactly 0 where nothing was seen


def test_opposite_embeddings_of_a_class_have_no_direction():
    bank = make()
    x = nd.array([[1, 0, 0, 0, 0], [-1, 0, 0, 0, 0]])
    bank.average(x, np.array([3, 3]), True)
    assert not np.any(bank.rows())


def test_units_of_classes_in_any_order():
    bank = make()
    rows = np.random.default_rng(1).normal(size=(10, 5)).astype("f")
    rows[4] = 0.0
    bank.load(0, rows)
    found = bank.unit_rows(np.array([7, 0, 4, 7])).asnumpy()
    np.testing.assert_allclose(found[[0, 1, 3]], unit(rows[[7, 0, 7]]), rtol=1e-6)
    assert not found[2].any()


def test_undo_goes_back_to_the_begin():
    bank, rng = make(), np.random.default_rng(2)
    states = []
    for step in range(3):
        bank.begin()
        states.append(np.array(bank.rows()))
        for _ in range(2):  # a class may be in both
            bank.average(nd.array(unit(rng.normal(size=(6, 5)))), rng.integers(2, 6, 6), True)
        if step:
            bank.undo()
            np.testing.assert_array_equal(bank.rows(), states[step])
    assert states[1].any()
    silent = make(undoes=False)
    silent.average(nd.array(unit(rng.normal(size=(6, 5)))), rng.integers(2, 6, 6), True)
    silent.undo()  # nothing was kept that would grow without a `begin`
    assert np.any(silent.rows())
