import numpy as np
import pytest

from gluonface.data.pair_folds import check_folds, fair_folds, stretches
from gluonface.errors import InputError


def test_stretches_are_contiguous_and_the_first_are_longer():
    assert stretches(7, 3).tolist() == [0, 0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize("folds", [2, 3, 10])
@pytest.mark.parametrize("counts", [(30, 30), (31, 47), (100, 12)])
def test_sorted_pairs_are_dealt(folds, counts):
    for first in (True, False):
        issame = np.repeat([first, not first], counts if first else counts[::-1])
        fold, dealt = fair_folds(issame, folds)
        assert dealt
        for kind in (issame, ~issame):
            assert fold[kind].tolist() == stretches(kind.sum(), folds).tolist()
        assert fair_folds(issame, folds, sorted_only=True)[1]


def test_a_kind_rarer_than_folds_leaves_no_fold_empty():
    for same in range(1, 10):
        issame = np.arange(12) < same
        fold, _ = fair_folds(issame, 10)
        assert np.bincount(fold, minlength=10).min() >= 1
    assert fair_folds(np.ones(12, bool), 10)[1] is False


def test_pairs_in_turns_keep_their_stretches():
    issame = np.arange(60) // 3 % 2 == 0  # 20 runs, as LFW has
    fold, dealt = fair_folds(issame, 10)
    assert (fold.tolist(), dealt) == (stretches(60, 10).tolist(), False)


def test_short_lists_in_random_order_are_dealt_only_on_demand():
    issame = np.array([True, True, False, True, False, False, True, False, True, False])
    assert fair_folds(issame, 5)[1]
    assert not fair_folds(issame, 5, sorted_only=True)[1] or issame[1:].sum() < 5
    assert fair_folds(issame, 3, sorted_only=True)[0].tolist() == stretches(10, 3).tolist()


@pytest.mark.parametrize("folds", [1, 0, -2, 2.0, True, None, "2"])
def test_no_number_of_folds(folds):
    with pytest.raises(InputError, match=r"2 or more \(LFW uses 10\)"):
        check_folds(20, folds)


def test_too_few_pairs():
    with pytest.raises(InputError, match="9 pairs for 10 folds"):
        fair_folds(np.arange(9) % 2 == 0, 10)
