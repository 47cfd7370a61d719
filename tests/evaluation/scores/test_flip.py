import numpy as np
import pytest

from gluonface.deploy import combine_views
from gluonface.errors import InputError
from gluonface.evaluation.scores.feature_matrix import unit_matrix
from gluonface.evaluation.scores.flip import FLIP_FORMS, merge_outputs

E = np.array([[3.0, 0.0], [0.0, 0.0], [1.0, 1.0]], np.float32)
F = np.array([[0.0, 4.0], [0.0, 0.0], [-1.0, -1.0]], np.float32)


def test_forms():
    np.testing.assert_allclose(combine_views(E, None, "none")[0], [1, 0])
    np.testing.assert_allclose(combine_views(E, F, "sum")[0], [0.6, 0.8], rtol=1e-6)
    np.testing.assert_allclose(combine_views(E, F, "concat")[0], [0.6, 0, 0, 0.8], rtol=1e-6)


def test_zero_stays_zero_and_float32():
    for flip in ("none", "sum", "concat"):
        out = combine_views(E, F, flip)
        assert out.dtype == np.float32
        assert not out[1].any()
    assert not combine_views(E, F, "sum")[2].any()  # the views cancel


def test_large_values_do_not_overflow():
    out = combine_views(np.full((1, 4), 1e30, np.float32), None, "none")
    np.testing.assert_allclose(out, 0.5, rtol=1e-6)


def test_unknown_form():
    with pytest.raises(InputError, match="flip is 'both'; expected one of none, sum, concat"):
        combine_views(E, F, "both")


def test_forms_in_float64():
    e, f = np.array([[3.0, 4.0]]), np.array([[0.0, 2.0]])
    forms = {
        name: unit_matrix(merge_outputs(e, f, name, np.float64), name, np.float64)[0][0]
        for name in FLIP_FORMS
    }
    np.testing.assert_allclose(forms["none"], [0.6, 0.8], rtol=1e-15)
    np.testing.assert_allclose(forms["sum"], np.array([3, 6]) / np.sqrt(45), rtol=1e-15)
    np.testing.assert_allclose(forms["concat"], np.array([3, 4, 0, 2]) / np.sqrt(29), rtol=1e-15)
    np.testing.assert_allclose(forms["normsum"], np.array([0.6, 1.8]) / np.sqrt(3.6), rtol=1e-15)


def test_int8_outputs_do_not_wrap_when_added():
    e = np.full((1, 2), 127, np.int8)
    assert merge_outputs(e, e, "sum", np.float64).tolist() == [[254, 254]]


def test_a_flip_form_needs_its_mirror():
    with pytest.raises(InputError, match="'sum' needs the outputs of the mirrored images"):
        merge_outputs(np.ones((2, 2)), None, "sum")
    with pytest.raises(InputError, match="'mean' is unknown; choose from none, sum"):
        merge_outputs(np.ones((2, 2)), np.ones((2, 2)), "mean")
    with pytest.raises(InputError, match=r"e has shape \(2, 2\) and f \(3, 2\)"):
        merge_outputs(np.ones((2, 2)), np.ones((3, 2)), "concat")
