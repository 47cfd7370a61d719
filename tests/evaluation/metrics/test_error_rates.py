import numpy as np
import pytest

from gluonface.errors import InputError
from gluonface.evaluation import metrics
from gluonface.evaluation.metrics import error_rates
from gluonface.evaluation.results.tables import error_table


def scores(seed=0, levels=None):
    rng = np.random.default_rng(seed)
    sides = rng.normal(3, 1, 60), rng.normal(size=500)
    return [np.round(side * levels) / levels for side in sides] if levels else sides


@pytest.mark.parametrize("levels", [None, 2])
@pytest.mark.parametrize("target", [0.0, 0.002, 0.05, 0.5, 1.0])
def test_it_is_the_strict_rule_with_the_threshold_included(levels, target):
    mated, nonmated = scores(levels=levels)
    (rate,) = error_rates.fnmr_at_fmr(mated, nonmated, [target])
    assert rate.fmr == (nonmated >= rate.threshold).mean() <= target
    assert rate.fnmr == (mated < rate.threshold).mean()
    score, same = np.concatenate([mated, nonmated]), np.arange(560) < 60
    strict = metrics.tar_at_far(score, same, [target])[0]
    assert rate.fmr == strict.far
    if target < 1:
        assert rate.fnmr == pytest.approx(1 - strict.tar, abs=1e-12)
        # and it is the smallest: the next lower score would let too many in
        lower = nonmated[nonmated < rate.threshold].max()
        assert (nonmated >= lower).mean() > target
    assert rate.fmr_error == (1 / np.sqrt(rate.false_matches) if rate.false_matches else None)


def test_failures_miss_their_mates_and_stay_in_the_count():
    mated, nonmated = scores()
    (plain,) = error_rates.fnmr_at_fmr(mated, nonmated, [0.01])
    (failed,) = error_rates.fnmr_at_fmr(
        mated, nonmated, [0.01], failed_mated=40, failed_nonmated=500
    )
    assert (failed.mated, failed.nonmated) == (100, 1000)
    assert failed.false_matches == 10  # of 1,000 now
    again = np.concatenate([mated, np.full(40, -np.inf)])
    wide = np.concatenate([nonmated, np.full(500, -np.inf)])
    assert error_rates.fnmr_at_fmr(again, wide, [0.01]) == [failed]
    assert failed.fnmr >= 0.4
    assert plain.fnmr < 0.4
    (everything,) = error_rates.fnmr_at_fmr(again, wide, [1.0])
    assert everything.fnmr == 0.4


def test_one_threshold_for_all_groups():
    mated = {"a": scores(1)[0], "b": scores(2)[0]}
    nonmated = {"a": scores(1)[1], "b": scores(2)[1] + 1}
    rates = error_rates.by_group(mated, nonmated, [0.01])
    assert [r.group for r in rates] == ["a", "b"]
    assert rates[0].threshold == rates[1].threshold
    assert rates[1].fmr > 0.01 > rates[0].fmr
    assert rates[0].false_matches + rates[1].false_matches == 10
    of_a = error_rates.by_group(mated, nonmated, [0.01], reference="a")
    assert of_a[0].fmr == 0.01
    assert "group" in error_table(rates)
    assert rates[0].to_dict()["group"] == "a"
    with pytest.raises(InputError, match="group 'c' is unknown"):
        error_rates.by_group(mated, nonmated, [0.01], reference="c")


def test_identification():
    best, rank = np.array([0.9, 0.8, 0.7, 0.2]), np.array([1, 2, 1, 1])
    other = np.array([0.1, 0.3, 0.5, 0.6])
    strict, deep = (
        error_rates.fnir_at_fpir(best, rank, other, [0.25], depth)[0] for depth in (1, 2)
    )
    assert strict.fmr == 0.25
    assert 0.5 < strict.threshold <= 0.6
    assert (strict.fnmr, deep.fnmr) == (0.5, 0.25)


@pytest.mark.parametrize(
    ("mated", "nonmated", "said"),
    [
        ([], [1.0], "scores have shape"),
        ([1.0, np.nan], [1.0], "NaN"),
        ([1.0], [np.inf], "NaN or infinite"),
    ],
)
def test_wrong_scores_are_refused(mated, nonmated, said):
    with pytest.raises(InputError, match=said):
        error_rates.fnmr_at_fmr(mated, nonmated, [0.1])
