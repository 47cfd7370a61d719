import numpy as np
import pytest
from reference import verification as twin

from gluonface.data.pair_folds import stretches
from gluonface.errors import InputError
from gluonface.evaluation.metrics import folds
from gluonface.evaluation.scores import pair_comparison
from gluonface.evaluation.scores.flip import FLIP_FORMS, merge_outputs

QUANTITIES = (
    *("dist", "acc_folds", "acc_mean", "acc_std", "best_thr"),
    *("val", "val_std", "far", "tpr", "fpr"),
)
CASES = ("verif_600_easy", "verif_600_mid", "verif_600_hard", "verif_607_mid")


def small_case(n, seed, quantised):
    rng = np.random.default_rng(seed)
    issame = rng.permutation(np.arange(n) % 3 > 0)
    distance = np.where(issame, rng.uniform(0, 2.6, n), rng.uniform(1.2, 4, n))
    if quantised:  # many ties, many of them on the grid's own values
        distance = np.round(distance * 5) / 5
    return distance, issame


@pytest.mark.parametrize("quantised", [False, True])
@pytest.mark.parametrize(("n", "count"), [(20, 2), (23, 3), (40, 4), (47, 10)])
def test_accuracy_equals_the_loops(n, count, quantised):
    thresholds = np.arange(0, 4, 0.1)
    for seed in range(5):
        distance, issame = small_case(n, seed, quantised)
        found = folds.kfold_accuracy(distance, issame, count, thresholds)
        mean, std, accuracies, chosen = twin.accuracy(distance, issame, count, thresholds)
        assert found.accuracies.tolist() == accuracies
        assert found.thresholds.tolist() == chosen
        assert found.accuracy == pytest.approx(mean, abs=1e-15)
        assert found.std == pytest.approx(std, abs=1e-15)


@pytest.mark.parametrize("quantised", [False, True])
@pytest.mark.parametrize("target", [0.0, 1e-3, 0.05, 0.3, 1.0])
def test_val_equals_the_loops(target, quantised):
    thresholds = np.arange(0, 4, 0.05)
    for seed in range(4):
        distance, issame = small_case(53, seed, quantised)
        found = folds.val_at_far(distance, issame, target, 3, thresholds)
        val, std, far, chosen = twin.val_at_far(distance, issame, target, 3, thresholds)
        np.testing.assert_allclose(found.thresholds, chosen, rtol=0, atol=1e-14)
        np.testing.assert_allclose([found.val, found.std, found.far], [val, std, far], atol=1e-15)


def test_val_is_zero_when_the_far_is_never_reached():
    # different pairs at the largest distance there is: no threshold of the grid accepts them
    distance, issame = np.array([0.5, 4.0] * 10), np.array([True, False] * 10)
    found = folds.val_at_far(distance, issame, 1e-3, 2)
    assert (found.val, found.far, found.thresholds.tolist()) == (0.0, 0.0, [0.0, 0.0])


def test_rates_per_threshold_are_averaged_over_the_folds():
    distance, issame = small_case(47, 0, False)
    found = folds.kfold_accuracy(distance, issame, 3, [0.5, 1.5, 2.5])
    fold = np.array(twin.fold_of_pair(47, 3))
    for j, threshold in enumerate((0.5, 1.5, 2.5)):
        slow = [twin.rates(distance[fold == k], issame[fold == k], threshold) for k in range(3)]
        assert found.tpr[j] == pytest.approx(np.mean([tpr for tpr, _ in slow]), abs=1e-15)
        assert found.fpr[j] == pytest.approx(np.mean([fpr for _, fpr in slow]), abs=1e-15)


def test_a_pair_on_the_threshold_is_rejected_and_the_lowest_threshold_wins():
    distance, issame = np.array([1.0, 3.0] * 4), np.array([True, False] * 4)
    found = folds.kfold_accuracy(distance, issame, 2, [0.0, 1.0, 1.5, 2.0, 3.0])
    assert found.thresholds.tolist() == [1.5, 1.5]  # 1.0 rejects the same pairs; 2.0, 3.0 tie
    assert found.accuracy == 1.0


def test_the_grids_are_start_plus_step_in_float64():
    assert folds.ACCURACY_THRESHOLDS.tolist() == [i * 0.01 for i in range(400)]
    assert folds.VAL_THRESHOLDS.tolist() == [i * 0.001 for i in range(4000)]


def test_the_first_folds_are_one_longer():
    assert np.bincount(stretches(23, 4)).tolist() == [6, 6, 6, 5]
    for n in range(2, 40):
        for count in range(2, n + 1):
            fold = twin.fold_of_pair(n, count)
            assert fold == stretches(n, count).tolist()


def test_the_order_within_folds_does_not_matter():
    distance, issame = small_case(47, 3, False)
    fold, rng = stretches(47, 5), np.random.default_rng(0)
    order = np.concatenate([rng.permutation(np.flatnonzero(fold == k)) for k in range(5)])
    for metric in (folds.kfold_accuracy, folds.val_at_far):
        before = metric(distance, issame, folds=5)
        after = metric(distance[order], issame[order], folds=5)
        assert before.std == after.std
        np.testing.assert_array_equal(before.thresholds, after.thresholds)


def test_val_needs_both_kinds_in_each_fold_and_accuracy_does_not():
    issame = np.arange(20) < 10  # sorted by label
    distance = np.where(issame, 1.0, 3.0)
    found = folds.kfold_accuracy(distance, issame, 4)
    assert found.tpr is None
    assert found.fpr is None
    assert 0 <= found.accuracy <= 1
    with pytest.raises(InputError, match="fold 1 of 4 has no different pair"):
        folds.val_at_far(distance, issame, folds=4)


@pytest.mark.parametrize("count", [1, 0, -3, 2.0, True, "10"])
def test_folds_must_be_a_whole_number_from_two(count):
    with pytest.raises(InputError, match="folds is"):
        folds.kfold_accuracy(np.ones(30), np.ones(30, bool), count)


def test_fewer_pairs_than_folds():
    with pytest.raises(InputError, match="9 pairs for 10 folds"):
        folds.kfold_accuracy(np.ones(9), np.ones(9, bool), 10)


@pytest.mark.parametrize(
    ("distance", "issame", "said"),
    [
        ([1.0, np.nan, 2.0], [1, 0, 1], "distance of pair 1 is not finite"),
        ([1.0, 2.0], [1, 0, 1], r"issame has shape \(3,\) for 2 pairs"),
        ([1.0, 2.0], [1, 2], "True or False"),
        ([[1.0], [2.0]], [1, 0], r"shape \(2, 1\)"),
        ([], [], r"shape \(0,\)"),
    ],
)
def test_wrong_pairs_are_refused(distance, issame, said):
    with pytest.raises(InputError, match=said):
        folds.kfold_accuracy(distance, issame, 2)


@pytest.mark.parametrize("target", [-0.1, 1.5, float("nan")])
def test_a_far_is_a_fraction(target):
    with pytest.raises(InputError, match="false-accept rate"):
        folds.val_at_far(*small_case(30, 0, False), target, 2)


@pytest.mark.parametrize("variant", FLIP_FORMS)
@pytest.mark.parametrize("case", CASES)
def test_known_answers_of_the_public_program(shared, case, variant):
    """InsightFace's `evaluate`, run unchanged: equal to the last bit, fold by fold."""
    data = np.load(shared / f"reference/eval/{case}.npz")
    known = {
        key: data[f"exp_{'noflip' if variant == 'none' else variant}_{key}"] for key in QUANTITIES
    }
    outputs = merge_outputs(data["emb"], data["emb_flip"], variant, np.float64)
    distance = pair_comparison.compare_pairs(outputs[0::2], outputs[1::2]).distance
    # the order of the sums differs: a few last bits of numbers up to 2
    np.testing.assert_allclose(distance, known["dist"], rtol=0, atol=5e-15)
    found = folds.kfold_accuracy(distance, data["issame"])
    np.testing.assert_array_equal(found.accuracies, known["acc_folds"])
    np.testing.assert_array_equal(found.thresholds, known["best_thr"])
    assert (found.accuracy, found.std) == (known["acc_mean"], known["acc_std"])
    np.testing.assert_array_equal(found.tpr, known["tpr"])
    np.testing.assert_array_equal(found.fpr, known["fpr"])
    val = folds.val_at_far(distance, data["issame"])
    assert (val.val, val.std, val.far) == (known["val"], known["val_std"], known["far"])


@pytest.mark.parametrize("case", CASES)
def test_other_grids_give_the_other_programs_numbers(shared, case):
    """gluon-face's metric: plain Euclidean distance on 0..2, and 1 - cosine on 0..1."""
    data = np.load(shared / f"reference/eval/{case}.npz")
    found = pair_comparison.compare_pairs(data["emb"][0::2], data["emb"][1::2])
    for grid, distance, thresholds in (
        ("euclid", np.sqrt(found.distance), np.arange(0, 2, 0.01)),
        ("cosine", 1 - found.score, np.arange(0, 1, 0.01)),
    ):
        accuracy = folds.kfold_accuracy(distance, data["issame"], 10, thresholds)
        assert accuracy.accuracy == data[f"exp_gfr_{grid}_noflip_acc_mean"]
        assert accuracy.std == pytest.approx(data[f"exp_gfr_{grid}_noflip_acc_std"], abs=1e-15)


def test_folds_that_share_no_person():
    rng = np.random.default_rng(0)
    a = rng.integers(0, 200, 300)
    b = np.where(rng.random(300) < 0.5, a, a ^ 1)  # blocks of two people
    fold, reason = folds.people_folds(a, b, 5)
    assert reason == ""
    sizes = np.bincount(fold, minlength=5)
    assert sizes.sum() == 300
    assert np.ptp(sizes) <= 4
    for one in range(5):
        inside = set(a[fold == one]) | set(b[fold == one])
        assert not inside & (set(a[fold != one]) | set(b[fold != one]))
    names = np.array([f"p{n}" for n in range(200)])
    assert np.ptp(np.bincount(folds.people_folds(names[a], names[b], 5)[0])) <= 4


def test_one_block_is_too_large():
    fold, reason = folds.people_folds([0, 1, 2, 5, 6], [1, 2, 3, 5, 7], 2)
    assert fold is None
    assert "a block of 3 of the 5 pairs, more than one of 2 folds holds" in reason
    fold, reason = folds.people_folds([0, 1], [0, 1], 2)
    assert fold.tolist() == [0, 1]
