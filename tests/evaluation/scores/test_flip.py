import numpy as np
import pytest

from gluonface.deploy import combine_views
from gluonface.errors import InputError

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
