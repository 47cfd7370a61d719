import numpy as np
import pytest

from gluonface.errors import InputError
from gluonface.evaluation.scores import all_pairs
from gluonface.evaluation.scores.all_pairs import AllPairs


def made(seed, images=48, people=12, size=6):
    rng = np.random.default_rng(seed)
    person = rng.integers(0, people, images)
    features = rng.normal(size=(people, size))[person] + 0.9 * rng.normal(size=(images, size))
    return features, person, np.array(["x", "y", "z"])[person % 3]


def test_pairs_are_counted():
    assert all_pairs.count_pairs([0, 0, 0, 1, 1, 2]) == (4, 11)


def test_an_identity_in_two_groups_is_named():
    features, person, group = made(0)
    group = group.copy()
    row = int(np.flatnonzero(person == person[0])[-1])
    group[row] = "w"
    with pytest.raises(InputError, match=rf"identity {person[0]} is in group \w and, at image"):
        AllPairs(features, person, group)


@pytest.mark.parametrize("copy", [True, False])
def test_a_value_that_is_not_finite_is_named(copy, monkeypatch):
    if not copy:
        monkeypatch.setattr(all_pairs, "_COPY", 0)
    features, person, group = made(0)
    features[31, 3] = np.inf
    with pytest.raises(InputError, match="features row 31 is not finite"):
        AllPairs(features, person, group)
