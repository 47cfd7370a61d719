"""Trials of people: support, intervals, and how many people are needed."""

import numpy as np
import pytest
from recognition_cases import people_scores
from reference import calibration as twin

from gluonface.errors import InputError
from gluonface.recognition import trials


def test_exact_intervals():
    assert trials.clopper_pearson(0, 3000) == (0, pytest.approx(0.0012288708038255, rel=1e-12))
    assert trials.clopper_pearson(3, 3000) == pytest.approx(
        (0.00020627153716226, 0.0029196164652533), rel=1e-12
    )
    for count, total in ((0, 7), (7, 7), (1, 30), (13, 30), (29, 30)):
        expected = twin.binomial_interval(count, total)
        assert trials.clopper_pearson(count, total) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(
    ("fmr", "people"), [(1e-3, 78), (1e-2, 25), (1e-1, 9), (1e-4, 246), (1e-5, 776), (1e-6, 2450)]
)
def test_people_needed_are_just_enough(fmr, people):
    assert trials.people_needed(fmr) == people
    assert trials.supports(fmr, people * (people - 1) // 2)
    assert not trials.supports(fmr, (people - 1) * (people - 2) // 2)


def test_an_unsupported_rate_names_what_is_missing():
    with pytest.raises(InputError) as caught:
        trials.require_support(1e-3, 378, 28, "faces")
    assert str(caught.value) == (
        "FMR 0.001 needs 3,000 pairs of two people; faces has 378 (28 people). Ask for 0.008 or "
        "more, or add people: 78 are enough."
    )
    with pytest.raises(InputError, match=r"2,900 more are enough"):
        trials.require_support(1e-3, 100, None, "lfw")
    with pytest.raises(InputError, match=r"has 1 \(2 people\)\. Add people: 9 are enough"):
        trials.require_support(0.1, 1, 2, "two")
    trials.require_support(1e-3, 3000, None, "lfw")  # exactly three


@pytest.mark.parametrize("count", [3, 10, 378, 1225, 3000, 12345, 999_999])
def test_the_smallest_rate_that_is_shown_is_supported(count):
    rate = trials.smallest_rate(count)
    assert trials.supports(rate, count)
    assert rate == float(f"{rate:.2g}")
    assert not trials.supports(rate * 0.9, count)


def test_trials_are_pairs_of_people():
    score, issame, people = people_scores(people=12, images=3)
    found = trials.Trials(score, issame, people)
    assert (found.trials, found.same_trials, found.count) == (66, 12, 12)
    assert found.bounds() == (-np.log(13), np.log(67))
    swapped = trials.Trials(score, issame, people[::-1])
    assert swapped.trials == 66
    alone = trials.Trials(score, issame, None)
    assert (alone.trials, alone.same_trials) == ((~issame).sum(), issame.sum())


def test_folds_keep_people_apart():
    score, issame, people = people_scores(people=12, images=2)
    a, b = trials.Trials(score, issame, people).folds()
    assert a.tolist() == (people[0] % 5).tolist()
    assert b.tolist() == (people[1] % 5).tolist()
    few = people_scores(people=9, images=2)
    assert trials.Trials(*few).folds() is None
    one, other = trials.Trials(score, issame, None).folds()
    assert one is other
    assert set(one.tolist()) == {0, 1, 2, 3, 4}


def test_intervals_of_people_are_those_of_weighted_pairs():
    """The twin weighs every pair of each draw; ours adds the pairs of two people up first."""
    from gluonface.evaluation.metrics import bootstrap

    score, issame, people = people_scores(people=15, images=3, seed=4)
    (point,) = trials.Trials(score, issame, people).points([0.1], 50)
    shares = []
    for drawn in bootstrap.draw(15, 50):
        weight = (drawn[people[0]] * drawn[people[1]])[~issame]
        above = score[~issame] > point.threshold
        shares.append((weight * above).sum() / weight.sum())
    low, high = np.quantile(shares, [0.025, 0.975])
    assert (point.fmr_low, point.fmr_high) == pytest.approx((low, high), rel=1e-12)
    assert point.interval == "people"


def test_without_false_matches_the_interval_is_of_pairs_of_people():
    score, issame, people = people_scores(people=9, images=2, spread=0.1)
    score = np.where(issame, 0.9, 0.1)  # all at one value: none is above it
    (point,) = trials.Trials(score, issame, people).points([0.1], 50)
    assert point.false_matches == 0
    assert point.interval == "exact, people pairs"
    assert (point.fmr_low, point.fmr_high) == trials.clopper_pearson(0, 36)
    assert (point.fnmr, point.fnmr_high) == (0, trials.clopper_pearson(0, 9)[1])


def test_failures_are_missed_and_never_match():
    score = np.array([0.9, -np.inf, 0.8, 0.1, -np.inf, 0.2, 0.3, 0.0, 0.1, 0.2])
    issame = np.array([True, True, True] + [False] * 7)
    for target in (0.5, 1.0):
        (point,) = trials.Trials(score, issame, None).points([target], 10)
        assert point.fnmr >= 1 / 3
        assert np.isfinite(point.threshold)
    assert point.false_matches == 6  # a rate of 1 accepts everything but the failure


@pytest.mark.slow
@pytest.mark.parametrize(
    ("people", "images", "fmr"), [(20, 10, 1e-2), (50, 6, 1e-2), (100, 4, 1e-2), (100, 4, 1e-3)]
)
def test_intervals_cover_the_true_rate(people, images, fmr):
    """As many draws as the design's, at the nominal 0.95."""
    from scipy.special import betainc

    covered = narrow = 0
    for seed in range(120):
        score, issame, owner = people_scores(people, images, 64, 0.8, seed)
        (point,) = trials.Trials(score, issame, owner).points([fmr], 300)
        # The cosine of two independent directions in 64 dimensions: (1 + c) / 2 is a beta variable.
        true = betainc(31.5, 31.5, (1 - point.threshold) / 2)
        covered += point.fmr_low <= true <= point.fmr_high
        low, high = trials.clopper_pearson(point.false_matches, int((~issame).sum()))
        narrow += low <= true <= high
    assert 0.93 <= covered / 120 <= 1.0
    assert narrow / 120 <= 0.9  # what counting image pairs would say
