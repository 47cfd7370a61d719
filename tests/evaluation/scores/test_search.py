import numpy as np
import pytest

from gluonface.evaluation.scores.feature_matrix import multiply, unit_matrix
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


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("mates", [1, 3, 40])
def test_equal_vectors_of_two_identities_are_ties_wherever_they_stand(dtype, mates):
    # A matrix product may round equal columns differently: the place in the gallery decides.
    rng = np.random.default_rng(mates)
    size, people = 129, 60
    probes = unit_matrix(rng.normal(size=(people, size)), "probes", dtype)[0]
    near = probes[:, None] + 0.1 * rng.normal(size=(people, mates, size))
    gallery = unit_matrix(near.reshape(-1, size), "gallery", dtype)[0]
    ids = np.repeat(np.arange(people), mates)
    twins = rng.permutation(len(gallery))  # everybody's vectors again, as those of other people
    both = np.concatenate([gallery, gallery[twins]])
    found = search(probes, both, np.arange(people), np.concatenate([ids, ids[twins] + people]))
    assert (found.ahead == 1).all()
    rank = np.arange(1, mates + 1)
    np.testing.assert_allclose(found.precision, (rank / (2 * rank)).mean(), rtol=1e-14)


def test_scores_within_rounding_are_ordered_in_float64():
    rng = np.random.default_rng(0)
    probes = unit_matrix(rng.normal(size=(40, 256)), "probes")[0]
    start = np.repeat(unit_matrix(probes[:1] + 0.1 * rng.normal(size=(1, 256)), "g")[0], 400, 0)
    gallery = (start * (1 + 1e-7 * rng.normal(size=start.shape))).astype(np.float32)
    rounded, exact = multiply(probes, gallery), multiply(*map(np.float64, (probes, gallery)))
    ahead = search(probes, gallery, np.zeros(40, int), np.arange(400)).ahead
    higher = (exact[:, 1:] > exact[:, :1] + 1e-15).sum(axis=1)
    equal = rounded[:, 1:] == rounded[:, :1]  # equal scores of the product count as ties
    assert (ahead >= higher).all()
    assert (ahead <= ((exact[:, 1:] >= exact[:, :1] - 1e-15) | equal).sum(axis=1)).all()
    assert (ahead != (rounded[:, 1:] >= rounded[:, :1]).sum(axis=1)).any()
