import numpy as np
import pytest

from gluonface.evaluation import metrics
from gluonface.evaluation.metrics import roc


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
