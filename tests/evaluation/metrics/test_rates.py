import subprocess
import sys

import numpy as np
import pytest
import sklearn.metrics
from reference import verification as twin

from gluonface.errors import InputError
from gluonface.evaluation import metrics
from gluonface.evaluation.metrics import roc

FARS = (0.0, 1e-3, 0.03, 0.1, 1 / 3, 0.5, 0.999, 1.0)


def scores(n, seed, levels=None, same=0.4):
    """Return n overlapping scores; `levels` makes ties."""
    rng = np.random.default_rng(seed)
    issame = rng.random(n) < same
    issame[:2] = True, False
    score = rng.normal(size=n) + issame
    if levels:
        score = np.round(score * levels) / levels
    return score, issame


CASES = [
    (2, 0, None),
    (9, 1, None),
    (40, 2, None),
    (41, 3, 2),
    (60, 4, 1),
    (61, 5, 8),
    (30, 6, 0.3),
]


@pytest.mark.parametrize(("n", "seed", "levels"), CASES)
@pytest.mark.parametrize("target", FARS)
def test_tar_equals_the_loops_in_both_conventions(n, seed, levels, target):
    score, issame = scores(n, seed, levels)
    strict, nearest = (
        metrics.tar_at_far(score, issame, [target], convention)[0]
        for convention in ("strict", "reference")
    )
    tar, far, wrong = twin.tar_strict(score, issame, target)
    assert (strict.tar, strict.far, strict.false_accepts) == (tar, far, wrong)
    assert (nearest.tar, nearest.far) == twin.tar_reference(score, issame, target)


@pytest.mark.parametrize(("n", "seed", "levels"), CASES)
def test_areas_and_equal_error_equal_the_loops(n, seed, levels):
    score, issame = scores(n, seed, levels)
    assert metrics.area_under_curve(score, issame) == pytest.approx(
        twin.auc(score, issame), abs=1e-15
    )
    assert metrics.equal_error_rate(score, issame) == pytest.approx(
        twin.eer(score, issame), abs=1e-15
    )


@pytest.mark.parametrize("drop", [False, True])
@pytest.mark.parametrize(("n", "seed", "levels"), CASES)
def test_the_curve_is_scikit_learns(n, seed, levels, drop):
    score, issame = scores(n, seed, levels)
    curve = metrics.roc_curve(score, issame, drop_intermediate=drop)
    fpr, tpr, thresholds = sklearn.metrics.roc_curve(issame, score, drop_intermediate=drop)
    np.testing.assert_array_equal(curve.fpr, fpr)
    np.testing.assert_array_equal(curve.tpr, tpr)
    np.testing.assert_array_equal(curve.thresholds[1:], thresholds[1:])
    assert curve.thresholds[0] == np.inf
    area = sklearn.metrics.roc_auc_score(issame, score)
    assert roc.curve_area(curve) == pytest.approx(area, abs=1e-14)


def test_strict_never_exceeds_its_target_and_says_what_it_did():
    score, issame = scores(500, 7, levels=4)
    for point in metrics.tar_at_far(score, issame, [0.001, 0.01, 0.1, 0.5]):
        accepted = score > point.threshold
        assert point.false_accepts == np.count_nonzero(accepted & ~issame) <= point.allowed
        assert point.far == point.false_accepts / point.different <= point.target
        assert point.tar == np.count_nonzero(accepted & issame) / point.same
        assert point.same + point.different == 500
        assert point.convention == "strict"


def test_rounding_does_not_cost_a_false_accept():
    # 0.29 * 100 is 28.999999999999996 in floating point; 29 false accepts are meant
    score = np.arange(200.0)
    issame = np.arange(200) % 2 == 0
    assert metrics.tar_at_far(score, issame, [0.29])[0].false_accepts == 29


@pytest.mark.parametrize(
    "change", [lambda x: 3 * x - 7, np.exp, lambda x: x**3, lambda x: np.arctan(x) / 9]
)
def test_only_the_order_of_the_scores_matters(change):
    score, issame = scores(200, 8, levels=8)
    changed = change(score)
    assert metrics.area_under_curve(changed, issame) == metrics.area_under_curve(score, issame)
    assert metrics.equal_error_rate(changed, issame) == metrics.equal_error_rate(score, issame)
    for convention in ("strict", "reference"):
        before = metrics.tar_at_far(score, issame, FARS, convention)
        after = metrics.tar_at_far(changed, issame, FARS, convention)
        assert [(p.tar, p.far) for p in before] == [(p.tar, p.far) for p in after]


def test_turning_scores_and_labels_round_keeps_the_area():
    score, issame = scores(200, 9, levels=8)
    area = metrics.area_under_curve(score, issame)
    assert metrics.area_under_curve(-score, ~issame) == area
    assert metrics.area_under_curve(-score, issame) == pytest.approx(1 - area, abs=1e-15)
    error = metrics.equal_error_rate(score, issame)
    assert metrics.equal_error_rate(-score, ~issame) == pytest.approx(error, abs=1e-15)


def test_separated_and_empty_of_meaning():
    issame = np.array([True] * 5 + [False] * 5)
    separated = np.where(issame, 0.9, 0.1)
    assert metrics.area_under_curve(separated, issame) == 1.0
    assert metrics.equal_error_rate(separated, issame) == 0.0
    assert metrics.tar_at_far(separated, issame, [1e-6])[0].tar == 1.0
    constant = np.zeros(10)
    assert metrics.area_under_curve(constant, issame) == 0.5
    assert metrics.equal_error_rate(constant, issame) == 0.5
    for convention in ("strict", "reference"):
        point = metrics.tar_at_far(constant, issame, [0.1], convention)[0]
        assert (point.tar, point.far) == (0.0, 0.0)


@pytest.mark.parametrize("issame", [[True] * 4, [False] * 4])
def test_one_kind_of_pairs_has_no_curve(issame):
    for metric in (metrics.roc_curve, metrics.area_under_curve, metrics.equal_error_rate):
        with pytest.raises(InputError, match="both kinds"):
            metric(np.arange(4.0), issame)


def test_wrong_use_is_refused():
    with pytest.raises(InputError, match="convention is 'nearest'"):
        metrics.tar_at_far([0.1, 0.2], [1, 0], [0.1], "nearest")
    with pytest.raises(InputError, match="expected a fraction"):
        metrics.tar_at_far([0.1, 0.2], [1, 0], [10])
    with pytest.raises(InputError, match="score of pair 1 is not finite"):
        metrics.area_under_curve([0.1, np.nan], [1, 0])


def test_importing_it_needs_numpy_alone():
    code = (
        "import sys; from gluonface.evaluation import metrics, verification;"
        "from gluonface.evaluation.metrics import roc, folds;"
        "from gluonface.evaluation.scores import pair_comparison;"
        "print([m for m in ('mxnet', 'matplotlib', 'sklearn', 'cv2', 'tqdm') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_known_answers_of_the_ijb_scripts(shared, expected):
    """TAR at 1e-6..1e-1 of 141,600 pairs: InsightFace's own table, and the strict one beside it."""
    folder = shared / "reference/eval"
    score = np.load(folder / "ijb_expected.npz")["score"]
    label = np.loadtxt(folder / "ijbc_template_pair_label.txt", dtype=np.int64)[:, 2]
    fars = [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1]
    found = {
        convention: [p.tar for p in metrics.tar_at_far(score, label, fars, convention)]
        for convention in ("reference", "strict")
    }
    known = {
        "reference": [0.635593, 0.707627, 0.802260, 0.872881, 0.915254, 0.956215],
        "strict": [0.635593, 0.707627, 0.802260, 0.871469, 0.913842, 0.954802],
    }
    for convention, rates in known.items():  # printed with six decimals
        np.testing.assert_allclose(found[convention], rates, rtol=0, atol=5e-7)
    assert metrics.area_under_curve(score, label) == pytest.approx(0.982964, abs=5e-7)
