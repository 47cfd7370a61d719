import numpy as np
import pytest

from gluonface.errors import InputError
from gluonface.evaluation.metrics import bootstrap
from gluonface.evaluation.metrics.operating_points import operating_points


def test_as_many_are_drawn_as_there_are_and_the_same_for_a_seed():
    drawn = np.array(list(bootstrap.draw(7, 5)))
    assert drawn.shape == (5, 7)
    assert set(drawn.sum(axis=1)) == {7}
    np.testing.assert_array_equal(drawn, np.array(list(bootstrap.draw(7, 5))))
    assert (drawn != np.array(list(bootstrap.draw(7, 5, seed=1)))).any()


def test_shares_are_those_of_the_drawn_rows():
    hits, unit = np.array([[True], [False], [True]]), np.array([0, 0, 1])
    sums, weights = bootstrap.share_replicates(hits, unit, 2, 6)
    for drawn, total, weight in zip(bootstrap.draw(2, 6), sums, weights):
        assert total == [drawn[0] + drawn[1]]
        assert weight == 2 * drawn[0] + drawn[1]


def test_intervals_leave_out_draws_without_a_figure():
    replicates = np.array([[0.0, 1.0], [1.0, np.nan], [1.0, 3.0]])
    assert bootstrap.intervals(replicates) == [
        (pytest.approx(0.025), pytest.approx(0.975)),
        (pytest.approx(1.05), pytest.approx(2.95)),
    ]
    assert bootstrap.intervals(np.full((2, 1), np.nan)) == [(None, None)]


@pytest.mark.parametrize("draws", [0, 1, True, 2.0])
def test_a_number_of_draws_is_a_whole_number_from_two(draws):
    with pytest.raises(InputError, match="expected the number of draws, 2 or more"):
        next(bootstrap.draw(3, draws))


@pytest.mark.parametrize(("allowed", "narrow"), [(0, True), (8, True), (19, True), (20, False)])
def test_intervals_that_rest_on_few_accepts_are_told(allowed, narrow, caplog):
    rng = np.random.default_rng(0)
    same = np.arange(600) < 100
    score = rng.normal(size=600) + 2 * same
    impostor = np.sort(score[~same])[::-1]
    points = operating_points(score[same], impostor, 500, [allowed / 500, 0.5])
    assert not any(point.too_narrow for point in points)  # there is no interval yet
    points = bootstrap.pair_intervals(points, score, same, 20)
    assert [point.too_narrow for point in points] == [narrow, False]
    assert ["interval_too_narrow" in point.to_dict() for point in points] == [narrow, False]
    told = f"at {allowed / 500:g} ({allowed}): the bootstrap intervals there are narrower"
    assert (told in caplog.text) == narrow
