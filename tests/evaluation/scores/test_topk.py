import numpy as np
import pytest

from gluonface.evaluation import metrics
from gluonface.evaluation.metrics import operating_points, roc
from gluonface.evaluation.scores import feature_matrix, topk


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
    tail = topk.Tail(keep, track=track)
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
        score, row, col = tail.places()
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
    top = topk.TopRows(20, keep, np.float64)
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
            keep = topk.keep_for([target], 700, spare=4)
            for convention in ("strict", "reference"):
                whole, end = (
                    operating_points.operating_points(genuine, scores, 700, [target], convention)[0]
                    for scores in (impostor, impostor[:keep])
                )
                assert whole == end


def test_the_window_around_a_target_grows_until_it_decides(monkeypatch):
    rng = np.random.default_rng(1)
    genuine = np.concatenate([rng.normal(1, 1, 30), [5, 5, -3]])
    impostor = np.sort(np.round(rng.normal(size=400), 2))[::-1]
    targets = (0.0, 0.01, 0.3, 0.77, 1.0)
    known = operating_points.operating_points(genuine, impostor, 400, targets, "reference")
    for window in (1, 2, 30):
        monkeypatch.setattr(operating_points, "_WINDOW", window)
        found = operating_points.operating_points(genuine, impostor, 400, targets, "reference")
        assert found == known


def test_corners_have_the_area_and_the_equal_error_of_the_whole():
    rng = np.random.default_rng(2)
    for levels in (None, 3, 1):
        score = np.concatenate([rng.normal(1, 1, 50), rng.normal(size=300)])
        if levels:
            score = np.round(score * levels) / levels
        same = np.arange(350) < 50
        whole = metrics.roc_curve(score, same)
        corners = roc.roc_corners(score[same], np.sort(score[~same])[::-1], 300)
        assert roc.curve_area(corners) == roc.curve_area(whole)
        assert roc.curve_eer(corners) == pytest.approx(roc.curve_eer(whole), abs=1e-15)
        assert len(corners.fpr) <= 2 * 50 + 2
        for wrong, right, threshold in zip(
            corners.false_accepts, corners.true_accepts, corners.thresholds
        ):
            assert (score[~same] >= threshold).sum() == wrong
            assert (score[same] >= threshold).sum() == right


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scale", [1e-150, 1e-30, 1e-12, 1, 1e12, 1e30, 1e150])
def test_any_length_is_normalised(dtype, scale):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(5, 7))
    known = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    units, zero = feature_matrix.unit_matrix(rows * scale, "rows", dtype)
    assert units.dtype == dtype
    assert zero == 0
    np.testing.assert_allclose(units, known, atol=2e-7 if dtype == np.float32 else 1e-15)


def test_collapse():
    rng = np.random.default_rng(0)
    rows = feature_matrix.unit_matrix(rng.normal(size=(9, 4)), "rows")[0]
    assert not feature_matrix.is_collapsed(rows)
    assert not feature_matrix.is_collapsed(rows[:1])
    assert feature_matrix.is_collapsed(rows[[0] * 9])
    assert feature_matrix.is_collapsed(rows[:1], rows[:1])
    assert not feature_matrix.is_collapsed(rows[[0] * 9], rows)
    assert feature_matrix.is_collapsed(np.zeros((3, 4)))
    assert not feature_matrix.is_collapsed(np.array([[0.0, 0], [1, 0]]))
