import numpy as np
import pytest

from gluonface.evaluation.scores import feature_matrix


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scale", [1e-150, 1e-30, 1e-12, 1, 1e12, 1e30, 1e150])
def test_any_length_is_normalised(dtype, scale):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(5, 7))
    known = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    units, zero = feature_matrix.unit_matrix(rows * scale, "rows", dtype)
    assert units.dtype == dtype
    assert zero == 0
    np.testing.assert_allclose(units, known, atol=2e-7 if dtype == np.float32 else 1e-15)


def test_collapse():
    rng = np.random.default_rng(0)
    rows = feature_matrix.unit_matrix(rng.normal(size=(9, 4)), "rows")[0]
    assert not feature_matrix.is_collapsed(rows)
    assert not feature_matrix.is_collapsed(rows[:1])
    assert feature_matrix.is_collapsed(rows[[0] * 9])
    assert feature_matrix.is_collapsed(rows[:1], rows[:1])
    assert not feature_matrix.is_collapsed(rows[[0] * 9], rows)
    assert feature_matrix.is_collapsed(np.zeros((3, 4)))
    assert not feature_matrix.is_collapsed(np.array([[0.0, 0], [1, 0]]))
