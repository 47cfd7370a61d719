import numpy as np

from gluonface.evaluation.scores import pair_scores
from gluonface.evaluation.scores.pair_scores import PairScores, memory_bytes


def test_all_scores_or_the_highest_are_kept(monkeypatch):
    scores = np.random.default_rng(0).random((40, 50)).astype(np.float32)
    rows, cols = np.arange(40), np.arange(50)
    whole = PairScores(2000, (1e-3,), np.float32)
    monkeypatch.setattr(pair_scores, "KEEP_ALL", 0)
    some = PairScores(2000, (1e-3,), np.float32)
    for pairs in (whole, some):
        pairs.add_different(scores, None, rows, cols)
        pairs.add_same(scores[0, :3], rows[:3], cols[:3])
        assert [column.tolist() for column in pairs.same()][1:] == [[0, 1, 2], [0, 1, 2]]
    falling = np.sort(scores.ravel())[::-1]
    np.testing.assert_array_equal(whole.top.scores(), falling)
    np.testing.assert_array_equal(some.top.scores(), falling[:68])  # 2 x 2 that 1e-3 allows + 64
    assert not whole.sample.counts.any()
    assert some.sample.counts.sum() == 50  # each 64th row


def test_rates_that_too_many_scores_decide_are_left_out(monkeypatch):
    monkeypatch.setattr(pair_scores, "_MOST", 100)
    pairs = PairScores(1000, (1e-3, 0.5), np.float32)
    assert (pairs.fars, pairs.left_out) == ([1e-3], [0.5])
    assert pairs.notes == ["FAR 0.5 is left out: too many different pairs decide it"]
    assert PairScores(1000, (1e-3,), np.float32).notes == []


def test_memory_is_that_of_scores_and_places():
    one = PairScores(10, (0.1,), np.float32)
    assert memory_bytes([10, 10], (0.1,)) == 2 * one.top.nbytes
