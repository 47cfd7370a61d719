"""Maps from scores to likelihood ratios, against slow twins and the reference cases."""

import json

import numpy as np
import pytest
from reference import calibration as twin

from gluonface.errors import DataError
from gluonface.recognition import ratio


def made(same, different, seed, ties=False):
    random = np.random.RandomState(seed)
    score = np.concatenate([random.normal(0.4, 0.12, same), random.normal(0, 0.12, different)])
    issame = np.arange(same + different) < same
    order = random.permutation(len(score))
    return np.round(score[order], 2) if ties else score[order], issame[order]


CASES = [(60, 200, 1, False), (9, 30, 2, False), (150, 40, 3, True), (80, 80, 4, True)]


@pytest.mark.parametrize("case", CASES)
def test_maps_are_those_of_the_twin(case):
    score, issame = made(*case)
    line = ratio.fit_logistic(score, issame)
    np.testing.assert_allclose([line.slope, line.offset], twin.logistic(score, issame), rtol=1e-9)
    stairs = ratio.fit_steps(score, issame)
    knots, llr = twin.steps(score, issame)
    np.testing.assert_array_equal(stairs.score, knots)
    np.testing.assert_allclose(stairs.llr, llr, rtol=1e-12)
    assert ratio.min_cllr(score, issame) == pytest.approx(twin.min_cllr(score, issame), rel=1e-12)
    found = line(score)
    assert ratio.cllr(found[issame], found[~issame]) == pytest.approx(
        twin.cllr(found[issame], found[~issame]), rel=1e-12
    )


def test_a_step_holds_from_its_knot_to_the_next():
    stairs = ratio.StepsMap(np.array([-np.inf, 0.1, 0.5]), np.array([-2.0, 0.0, 3.0]))
    score = [-1, 0.0999, 0.1, 0.3, 0.5, 1]
    assert stairs(score).tolist() == [-2, -2, 0, 0, 3, 3]
    assert float(stairs(0.2)) == 0
    assert np.all(np.diff(ratio.fit_steps(*made(50, 200, 5)).llr) > 0)


def test_separated_kinds_have_a_finite_line():
    line = ratio.fit_logistic(np.array([0.0, 0.1, 0.9, 1.0]), np.array([False, False, True, True]))
    assert 0 < line.slope < 100
    assert ratio.min_cllr(np.array([0.0, 1.0]), np.array([False, True])) == 0


@pytest.mark.parametrize(
    ("score", "said"), [([0.5, 0.5, 0.5], "all 3 scores"), ([0.9, 0.1, 0.8], "labels turned round")]
)
def test_scores_that_teach_nothing_are_refused(score, said):
    with pytest.raises(DataError, match=said):
        ratio.fit_logistic(np.array(score), np.array([False, True, False]))


def test_a_long_tail_is_given_steps():
    """A straight line cannot follow the low scores of one person's bad pictures."""
    random = np.random.RandomState(0)
    own = np.where(random.rand(3000) < 0.25, random.normal(0.05, 0.1, 3000),
                   random.normal(0.6, 0.08, 3000))  # fmt: skip
    score = np.concatenate([own, random.normal(0, 0.1, 9000)])
    issame = np.arange(12000) < 3000
    order = random.permutation(12000)
    fold = np.arange(12000) * ratio.FOLDS // 12000
    chosen, costs = ratio.choose_map(
        score[order], issame[order], lambda mask: (-8.0, 8.0), (fold, fold)
    )
    assert isinstance(chosen, ratio.StepsMap)
    assert costs["steps"] < 0.95 * costs["logistic"]


def test_two_normal_distributions_keep_the_line():
    random = np.random.RandomState(1)
    score = np.concatenate([random.normal(0.2, 0.12, 200), random.normal(0, 0.12, 200)])
    order = random.permutation(400)
    fold = np.arange(400) * ratio.FOLDS // 400
    issame = np.arange(400) < 200
    chosen, costs = ratio.choose_map(
        score[order], issame[order], lambda mask: (-5.3, 5.3), (fold, fold)
    )
    assert isinstance(chosen, ratio.LogisticMap)
    assert costs["logistic"] < costs["steps"]


@pytest.fixture(scope="module")
def cases(shared):
    folder = shared / "reference" / "recognition"
    with np.load(folder / "calibration.npz") as arrays:
        arrays = {name: arrays[name] for name in arrays.files}
    return json.loads((folder / "calibration.json").read_text()), arrays


# The stored lines of "ties" and "few" were not taken to the minimum: the gradient at them is 2e-10
# and 7e-12, which moves the slope by that much. Ours is below 1e-14 there.
LOOSE = {"ties": 2e-8, "few": 1e-9}


def test_reference_cases_of_the_line(cases):
    expected, arrays = cases
    for name, case in expected.items():
        score, issame = arrays[f"{name}_score"], arrays[f"{name}_issame"]
        line = ratio.fit_logistic(score, issame)
        tolerance = LOOSE.get(name, 1e-9)
        assert line.slope == pytest.approx(case["slope"], rel=tolerance)
        assert line.offset == pytest.approx(case["offset"], rel=tolerance)
        llr = np.clip(line(score), case["low"], case["high"])
        assert ratio.cllr(llr[issame], llr[~issame]) == pytest.approx(case["cllr"], rel=1e-8)
        assert ratio.min_cllr(score, issame) == pytest.approx(case["min_cllr"], rel=1e-9, abs=1e-15)


def test_reference_case_of_the_steps(shared):
    folder = shared / "reference" / "recognition"
    case = json.loads((folder / "use.json").read_text())["map"]
    with np.load(folder / "use.npz") as arrays:
        score, issame = arrays["map_score"], arrays["map_issame"]
        knots, llr = arrays["map_knots"], arrays["map_llr"]
    stairs = ratio.fit_steps(score, issame)
    np.testing.assert_array_equal(stairs.score, knots)
    np.testing.assert_allclose(stairs.llr, llr, rtol=1e-9)
    for value, wanted in case["at"].items():
        assert float(stairs(float(value))) == pytest.approx(wanted, rel=1e-9)
