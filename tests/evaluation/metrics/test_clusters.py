import json

import numpy as np
import pytest
from reference.clusters import measures

from gluonface.errors import InputError
from gluonface.evaluation.metrics.clusters import cluster_measures

NAMES = ("pair_precision", "pair_recall", "pair_f", "bcubed_precision", "bcubed_recall",
         "bcubed_f", "nmi")  # fmt: skip


def values(found):
    return [getattr(found, name) for name in NAMES]


def test_by_hand():
    found = cluster_measures([0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 1, 2])
    np.testing.assert_allclose(
        values(found), [0.5, 0.5, 0.5, 7 / 9, 7 / 9, 7 / 9, 0.6853314789615867], rtol=1e-12
    )
    assert (found.images, found.clusters, found.people, found.largest) == (6, 3, 3, 3)


@pytest.mark.parametrize("seed", range(6))
def test_the_twin_and_scikit_learn(seed):
    from sklearn.metrics import normalized_mutual_info_score

    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 60))
    person, cluster = rng.integers(0, 1 + seed, n), rng.integers(0, 6 - seed, n)
    names = np.array([f"cluster {c}" for c in cluster])
    found = cluster_measures(person, names)
    np.testing.assert_allclose(
        values(found), measures(person.tolist(), cluster.tolist()), rtol=1e-9, atol=1e-12
    )
    if len(set(person.tolist())) > 1:
        right = normalized_mutual_info_score(person, cluster)
        assert found.nmi == pytest.approx(right, abs=1e-12)


def test_the_reference(shared):
    folder = shared / "reference/recognition"
    arrays, known = np.load(folder / "use.npz"), json.loads((folder / "use.json").read_text())
    for threshold, right in known["cluster"].items():
        found = cluster_measures(arrays["cluster_person"], arrays[f"cluster_{threshold}"])
        expected = [right[k] for k in ("pairP", "pairR", "pairF", "bP", "bR", "bF", "nmi")]
        np.testing.assert_allclose(values(found), expected, rtol=1e-12)
        assert found.clusters == right["clusters"]
        assert found.people == right["people"]
        assert found.largest == right["largest"]


def test_ends():
    assert values(cluster_measures([1], ["a"])) == [1] * 7
    assert values(cluster_measures([1, 1], [5, 5])) == [1] * 7
    apart = cluster_measures([1, 1], [5, 6])
    assert values(apart) == [1, 0, 0, 1, 0.5, pytest.approx(2 / 3), 0]
    for person, cluster in (([], []), ([1, 2], [1]), ([[1]], [[1]])):
        with pytest.raises(InputError, match="one of each for every image"):
            cluster_measures(person, cluster)
