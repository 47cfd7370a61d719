import numpy as np
import pytest

from gluonface.deploy.parity import disagreement, noise

SIZE = (8, 8)


def network(gain):
    """Return a function whose output moves by `gain` times a relative change of the pixels."""

    def run(images):
        means = images.mean((1, 2, 3)).astype(np.float64)[:, None] / 127.5
        return np.sin(gain * means) * np.ones(3)

    return run


@pytest.mark.parametrize(("gain", "error", "fits"), [
    (1, 5e-4, True),
    (1, 2e-3, False),  # nothing magnifies rounding here
    (1e4, 2e-3, True),
    (1e4, 1e-1, False),  # a wrong graph is one all the same
    (1e9, 1e-1, False),
    (1e4, np.nan, False),
])  # fmt: skip
def test_what_rounding_explains_is_allowed(gain, error, fits):
    run = network(gain)
    expected = run(noise(SIZE))
    actual = expected + error * np.abs(expected).max()
    got, allowed = disagreement(actual, expected, run, SIZE)
    np.testing.assert_allclose(got, error, rtol=1e-6)
    assert (got < allowed) == fits


def test_output_without_numbers_is_refused():
    expected = np.full((2, 3), np.nan)
    got, allowed = disagreement(expected, expected, lambda images: expected, SIZE)
    assert not got < allowed
