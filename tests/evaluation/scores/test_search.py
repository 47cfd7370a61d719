import numpy as np

from gluonface.evaluation.scores.search import search


def test_best_mate_best_other_and_who_is_ahead():
    gallery = np.eye(3)
    probes = np.array([[0.9, 0.1, 0.5], [0.2, 0.2, 0.3], [0.0, 1.0, 0.0]])
    found = search(probes, gallery, np.array([0, 1, 9]), np.array([0, 1, 2]))
    assert found.mated.tolist() == [True, True, False]
    assert found.best.tolist() == [0.9, 0.2, -np.inf]
    assert found.mate.tolist() == [0, 1, -1]
    assert found.other.tolist() == [0.5, 0.3, 1.0]
    assert found.other_entry.tolist() == [2, 2, 1]
    assert found.ahead[:2].tolist() == [0, 2]  # a tie counts against the mate
    assert found.precision[:2].tolist() == [1, 1 / 3]


def test_several_mates_have_an_average_precision():
    gallery = np.array([[0.9], [0.8], [0.7], [0.6]])
    found = search(np.ones((1, 1)), gallery, np.array([5]), np.array([5, 0, 5, 1]))
    assert found.precision == (1 + 2 / 3) / 2
    assert found.mate == 0
