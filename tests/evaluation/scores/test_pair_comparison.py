import numpy as np
import pytest
import sklearn.preprocessing
from reference import verification as twin

from gluonface.errors import InputError
from gluonface.evaluation.scores import pair_comparison
from gluonface.evaluation.scores.flip import merge_outputs


def test_distances_and_scores_equal_the_loops():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 300, 7)) * rng.uniform(0.01, 50, (2, 300, 1))
    found = pair_comparison.compare_pairs(a.astype(np.float32), b.astype(np.float32))
    slow = np.array([twin.compare(*row) for row in zip(a.astype("f"), b.astype("f"))])
    # float64 sums of seven terms: rounding alone separates the two
    np.testing.assert_allclose(found.distance, slow[:, 0], rtol=0, atol=2e-15)
    np.testing.assert_allclose(found.score, slow[:, 1], rtol=0, atol=2e-15)
    assert not found.collapsed
    assert found.zero_rows == 0


@pytest.mark.parametrize("size", [1, 3, 16, 127, 128, 512])
@pytest.mark.parametrize("dtype", [np.int8, np.float32, np.float64])
def test_distances_are_those_of_insightface_to_the_last_bit(size, dtype):
    # Small whole numbers: many distances lie right on a threshold of the grid.
    rows = np.random.default_rng(size).integers(-2, 3, (2 * 700, size)).astype(dtype)
    rows = rows[rows.any(axis=1)]
    rows = rows[: len(rows) // 2 * 2]
    found = pair_comparison.compare_pairs(rows[0::2], rows[1::2])
    units = sklearn.preprocessing.normalize(rows.astype(np.float64))
    difference = np.subtract(units[0::2], units[1::2])
    np.testing.assert_array_equal(found.distance, np.sum(np.square(difference), 1))


def test_the_inputs_stay_as_they_are():
    a = np.random.default_rng(0).normal(size=(5, 4))
    kept = a.copy()
    pair_comparison.compare_pairs(a, a)
    merge_outputs(a, a, "sum", np.float64)
    np.testing.assert_array_equal(a, kept)


def test_integers_need_no_conversion():
    a, b = np.random.default_rng(0).integers(-127, 128, (2, 20, 6)).astype(np.int8)
    found = pair_comparison.compare_pairs(a, b)
    slow = [twin.compare(*row) for row in zip(a, b)]
    np.testing.assert_allclose(found.score, [score for _, score in slow], rtol=0, atol=2e-15)


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1e160, 1e300])
def test_any_finite_length_is_normalised(scale):
    a = np.array([[3.0, 4.0], [1.0, 0.0]])
    found = pair_comparison.compare_pairs(a * scale, a)
    np.testing.assert_allclose(found.score, 1, rtol=0, atol=1e-15)


def test_a_zero_vector_stays_zero():
    found = pair_comparison.compare_pairs([[0.0, 0.0], [1.0, 1.0]], [[2.0, 0.0], [0.0, 0.0]])
    np.testing.assert_array_equal(found.score, [0, 0])
    np.testing.assert_allclose(found.distance, [1, 1], rtol=0, atol=1e-15)
    assert found.zero_rows == 2


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("row", [0, 300, 599])
def test_a_value_that_is_not_finite_is_refused_with_its_row(value, row):
    a, b = np.random.default_rng(0).normal(size=(2, 600, 4)).astype(np.float32)
    b[row, 2] = value
    with pytest.raises(InputError, match=rf"emb_b row {row} is not finite.*column 2"):
        pair_comparison.compare_pairs(a, b)


@pytest.mark.parametrize(
    ("a", "b", "said"),
    [
        (np.zeros((3, 4)), np.zeros((3, 5)), r"\(3, 4\).*\(3, 5\)"),
        (np.zeros(3), np.zeros(3), r"shape \(3,\)"),
        (np.zeros((0, 3)), np.zeros((0, 3)), r"shape \(0, 3\)"),
        (np.array([["a"]]), np.array([["b"]]), "dtype <U1"),
        (np.ones((2, 2), complex), np.ones((2, 2)), "complex"),
    ],
)
def test_wrong_arrays_are_refused(a, b, said):
    with pytest.raises(InputError, match=said):
        pair_comparison.compare_pairs(a, b)


def test_collapse_is_seen_and_likeness_is_not_taken_for_it():
    rng = np.random.default_rng(0)
    constant = np.tile(rng.normal(size=8), (20, 1))
    lengths = rng.uniform(1, 9, (20, 1))
    assert pair_comparison.compare_pairs(constant * lengths, constant).collapsed
    jitter = constant * (1 + 1e-5 * rng.normal(size=(20, 8)))  # as float32 rounding would
    assert pair_comparison.compare_pairs(jitter, constant).collapsed
    assert pair_comparison.compare_pairs(np.zeros((4, 3)), np.zeros((4, 3))).collapsed
    close = constant + 0.03 * rng.normal(size=(20, 8))
    assert not pair_comparison.compare_pairs(close, constant).collapsed
    # each pair identical, the people not: a perfect model, not a collapsed one
    people = rng.normal(size=(20, 8))
    assert not pair_comparison.compare_pairs(people, people).collapsed
    alike = constant + 0.1 * people
    assert not pair_comparison.compare_pairs(alike, alike).collapsed


def test_the_mean_length_of_outputs():
    assert pair_comparison.mean_norm([[3.0, 4.0]], [[0.0, 2.0]]) == pytest.approx(3.5, abs=1e-15)
