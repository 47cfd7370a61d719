"""Rates by group against the slow twin, and what makes a rate missing."""

import json
import math

import numpy as np
import pytest
from reference import group_rates as twin

from gluonface.errors import InputError
from gluonface.evaluation.metrics.folds import kfold_accuracy
from gluonface.evaluation.metrics.group_rates import group_rates, wilson_interval


def case(n, seed, names=("a", "b", "c"), ties=False):
    rng = np.random.default_rng(seed)
    issame = rng.random(n) < 0.4
    score = np.where(issame, rng.normal(0.5, 0.2, n), rng.normal(0, 0.2, n)).clip(-1, 1)
    one, other = (rng.choice(names, n) for _ in range(2))
    other = np.where(issame, one, other)
    groups = [a if a == b else " | ".join(sorted((a, b))) for a, b in zip(one, other)]
    return (np.round(score, 1) if ties else score), issame, groups


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("fmr", [0.1, 0.01, 0.3])
@pytest.mark.parametrize("seed", [0, 1])
def test_every_figure_equals_the_loops(seed, fmr, ties):
    score, issame, groups = case(700, seed, ties=ties)
    right = np.random.default_rng(2).random(700) < 0.9
    found = group_rates(score, issame, groups, right, fmrs=[fmr])
    (table,) = found.tables
    limit, slow = twin.rates(score, issame, groups, fmr)
    assert table.threshold == limit
    names = [rate.group for rate in table.rates]
    assert names == ["a", "b", "c", "a | b", "a | c", "b | c"]
    for rate in table.rates:
        own = slow[rate.group]
        assert (rate.same, rate.different) == own[:2]
        assert rate.accuracy == pytest.approx(own[2], abs=1e-15)
        assert (rate.false_matches, rate.false_nonmatches) == own[3:5]
        assert (rate.fmr, rate.fnmr) == own[5:]
        if rate.different:
            ends = (rate.fmr_low, rate.fmr_high)
            assert ends == pytest.approx(twin.wilson(own[3], own[1]), abs=1e-12)
        if rate.same:
            ends = (rate.fnmr_low, rate.fnmr_high)
            assert ends == pytest.approx(twin.wilson(own[4], own[0]), abs=1e-12)
    for field, ratio in (("fmr", table.fmr_ratio), ("fnmr", table.fnmr_ratio)):
        values = {r.group: getattr(r, field) for r in table.rates if " | " not in r.group}
        assert ratio is None or ratio.ratio == twin.largest_ratio(values)
    accuracy = {
        name: np.mean([r for r, g in zip(right, groups) if g == name]) for name in set(groups)
    }
    assert found.fold_accuracy == pytest.approx(accuracy)
    mine = [accuracy[name] for name in "abc"]
    assert found.mean == pytest.approx(np.mean(mine))
    assert found.std == pytest.approx(np.std(mine, ddof=1))
    assert found.worst == min("abc", key=accuracy.get)
    json.dumps(found.to_dict(), allow_nan=False)


def test_the_threshold_is_that_of_all_groups_together():
    """A group whose people look alike is not given a threshold of its own."""
    score = np.array([0.9] * 10 + [0.8] * 10 + list(np.linspace(0.5, 0.7, 50)) + [0.0] * 50)
    issame = np.arange(120) < 20
    groups = ["alike"] * 10 + ["other"] * 10 + ["alike"] * 50 + ["other"] * 50
    found = group_rates(score, issame, groups, issame == issame, fmrs=[0.1])
    alike, other = found.tables[0].rates
    assert (alike.false_matches, other.false_matches) == (10, 0)
    assert (alike.fmr, other.fmr) == (0.2, 0.0)
    ratio = found.tables[0].fmr_ratio
    assert (ratio.largest, ratio.smallest, ratio.ratio) == ("alike", "other", None)


def test_default_rates_are_those_that_the_pairs_support():
    for different, wanted in ((10000, [1e-3, 1e-4]), (1000, [1e-3]), (100, [1e-2]), (10, [1e-1])):
        issame = np.arange(different + 20) < 20
        score = np.linspace(1, -1, len(issame))
        found = group_rates(score, issame, ["a"] * len(issame), issame == issame)
        assert [table.target for table in found.tables] == wanted
        assert found.tables[0].fmr_ratio is None
        assert found.std == 0


def test_a_group_too_small_for_the_rate_has_counts_alone():
    issame = np.arange(1400) < 200
    groups = ["large"] * 1300 + ["small"] * 100
    score = np.where(issame, 0.9, np.linspace(0, 0.5, 1400))
    large, small = group_rates(score, issame, groups, issame == issame).tables[0].rates
    assert (large.fmr, small.fmr) == (0.0, None)
    assert (small.false_matches, small.different) == (1, 100)
    assert small.fmr_low > 0
    assert (small.same, small.fnmr, small.fnmr_low) == (0, None, None)


def test_groups_with_folds_of_their_own():
    score, issame, _ = case(200, 3)
    groups = ["a"] * 100 + ["b"] * 100
    distance, fold = 2 - 2 * score, np.tile(np.repeat(np.arange(5), 20), 2)
    found = group_rates(score, issame, groups, issame, distance=distance, fold=fold)
    for name, part in (("a", slice(0, 100)), ("b", slice(100, 200))):
        own = kfold_accuracy(distance[part], issame[part], 5)
        assert found.fold_accuracy[name] == own.accuracy
        assert found.fold_accuracy_std[name] == own.std
    assert found.own_folds


def test_wilson():
    assert wilson_interval(0, 10) == pytest.approx((0, 0.27753279), abs=1e-8)
    assert wilson_interval(10, 10)[1] == 1.0
    assert wilson_interval(3, 10) == pytest.approx((0.10779127, 0.60322185), abs=1e-7)
    for count, total in ((-1, 3), (4, 3), (0, 0)):
        with pytest.raises(InputError, match="a count of a number of trials"):
            wilson_interval(count, total)


def test_one_kind_and_other_lengths():
    with pytest.raises(InputError, match="need same and different pairs"):
        group_rates([0.1, 0.2], [True, True], ["a", "b"], [True, True])
    with pytest.raises(InputError, match="1 groups for 2 pairs"):
        group_rates([0.1, 0.2], [True, False], ["a"], [True, True])


def test_all_scores_alike_give_no_infinity_in_json():
    issame = np.arange(40) < 20
    found = group_rates(np.zeros(40), issame, ["a", "b"] * 20, issame, fmrs=[1.0])
    assert found.tables[0].threshold == -math.inf
    assert found.to_dict()["tables"][0]["threshold"] is None
