import numpy as np
import pytest

from gluonface.evaluation.metrics import operating_points
from gluonface.evaluation.scores import topk


@pytest.mark.parametrize("track", [False, True])
@pytest.mark.parametrize("keep", [1, 7, 60, 5000])
@pytest.mark.parametrize("ties", [False, True])
def test_the_largest_are_kept(keep, track, ties, monkeypatch):
    monkeypatch.setattr(topk, "_SLICE", 50)
    rng = np.random.default_rng(keep)
    whole = rng.normal(size=(30, 90)).astype(np.float32)
    if ties:
        whole = np.round(2 * whole)
    left_out = rng.random(whole.shape) < 0.2
    given = np.where(left_out, -np.inf, whole).astype(np.float32)
    tail = topk.TopScores(keep, track=track)
    tail._scores = tail._scores[: keep + 20]  # prune often
    if track:
        tail._places = tail._places[:, : keep + 20]
    rows, cols = rng.permutation(30), np.arange(90) + 5
    for start in range(0, 90, 11):
        part = slice(start, start + 11)
        count = int((~left_out[:, part]).sum())
        tail.add(given[:, part], None, rows, cols[part], count)
    known = np.sort(whole[~left_out])[::-1]
    np.testing.assert_array_equal(tail.scores(), known[:keep])
    assert tail.count == len(known)
    assert tail.complete == (keep >= len(known))
    if track:
        score, row, col = tail.scores_and_places()
        place = np.argsort(rows)
        np.testing.assert_array_equal(whole[place[row], col - 5], score)
        assert len({*zip(row.tolist(), col.tolist())}) == len(score)


@pytest.mark.parametrize("keep", [1, 3, 10, 200])
@pytest.mark.parametrize("ties", [False, True])
def test_the_best_of_each_row(keep, ties, monkeypatch):
    monkeypatch.setattr(topk, "_SLICE", 64)
    rng = np.random.default_rng(keep)
    whole = rng.normal(size=(20, 150))
    if ties:
        whole = np.round(whole)
    top = topk.TopScoresPerRow(20, keep, np.float64)
    for start in range(0, 150, 13):
        for rows in (slice(0, 8), slice(8, 20)):
            top.add(whole[rows, start : start + 13], rows.start)
    known = np.full((20, keep), -np.inf)
    best = np.sort(whole, axis=1)[:, ::-1][:, :keep]
    known[:, : best.shape[1]] = best
    np.testing.assert_array_equal(top.sorted(), known)


def test_what_is_kept_decides_both_conventions():
    """Of many different pairs only the upper end is given: the figures are those of all."""
    rng = np.random.default_rng(0)
    for _ in range(60):
        genuine, impostor = rng.normal(1, 1, 40), np.sort(rng.normal(size=700))[::-1]
        for target in (0.0, 1e-3, 0.01, 0.2):
            keep = topk.scores_needed([target], 700, spare=4)
            for convention in ("strict", "reference"):
                whole, end = (
                    operating_points.operating_points(genuine, scores, 700, [target], convention)[0]
                    for scores in (impostor, impostor[:keep])
                )
                assert whole == end
