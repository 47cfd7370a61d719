import numpy as np

from gluonface.evaluation.metrics.search_rates import search_rates


def test_rounding_does_not_cost_a_false_positive():
    """int(100 * 0.29) is 28: strict allows the 29 that are meant."""
    others = np.random.default_rng(0).random(150)[50:]
    best, ahead = np.linspace(0, 1, 150)[:50], np.zeros(50, int)
    strict, reference = search_rates(best, ahead, others, (0.29,))
    assert (strict.allowed, strict.false_accepts) == (29, 29)
    assert reference.false_accepts == 27  # one too strict, and 28 for 29
    assert strict.tpir >= reference.tpir
