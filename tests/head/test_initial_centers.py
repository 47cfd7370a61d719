import numpy as np
import pytest

from gluonface.head.initial_centers import BLOCK, initial_centers, shard_range


@pytest.mark.parametrize("ranks", [1, 2, 3, 4, 8, 64])
@pytest.mark.parametrize("classes", [1, 3, 9, 64, 1003, 85742])
def test_shards_cover_all_classes_once_and_evenly(classes, ranks):
    bounds = [shard_range(classes, rank, ranks) for rank in range(ranks)]
    assert [bounds[0][0], bounds[-1][1]] == [0, classes]
    assert all(a[1] == b[0] for a, b in zip(bounds, bounds[1:]))
    sizes = [stop - start for start, stop in bounds]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] - sizes[-1] <= 1


def test_initial_centres_belong_to_the_class_not_to_the_shard():
    classes = 2 * BLOCK + 100
    whole = initial_centers(0, classes, 4, seed=7)
    for start, stop in ((0, 10), (100, BLOCK), (BLOCK - 1, BLOCK + 1), (5000, classes)):
        np.testing.assert_array_equal(initial_centers(start, stop, 4, seed=7), whole[start:stop])
    assert whole.dtype == np.float32
    assert len(np.unique(whole, axis=0)) == classes  # no class twice
    assert abs(whole.std() - 0.01) < 1e-4
    assert abs(whole.mean()) < 2e-4
    assert not np.isin(initial_centers(0, 100, 4, seed=8), whole).any()
    assert initial_centers(5, 5, 4, seed=7).shape == (0, 4)


def test_the_seed_means_the_same_for_ever():
    np.testing.assert_allclose(
        initial_centers(BLOCK, BLOCK + 1, 3, seed=0)[0],
        [-0.0014091189, 0.0087533593, 0.0070733964],
        rtol=1e-6,
    )
