"""A calibration in tables and plots."""

import json

import numpy as np
import pytest
from recognition_cases import comparison, model, people_scores

from gluonface.errors import InputError
from gluonface.recognition import Calibration
from gluonface.recognition.calibration_pairs import CalibrationPairs
from gluonface.recognition.calibration_report import (
    calibration_rows,
    reliability,
    summary_rows,
    write_report,
)


@pytest.fixture(scope="module")
def pairs():
    return CalibrationPairs(*people_scores(), None, model(), comparison(), {"name": "made"})


@pytest.fixture(scope="module")
def calibration(pairs):
    return Calibration.fit(
        pairs.score, pairs.issame, pairs.people, model=pairs.model, comparison=pairs.comparison,
        set=pairs.set, draws=50,
    )  # fmt: skip


def test_page(calibration, pairs, tmp_path):
    page = write_report(tmp_path / "report", calibration, pairs).read_text()
    assert "Calibration of tiny on made" in page
    assert page.count("<svg") == 4
    assert "Thresholds are cosines" in page
    for words in ("DET", "Reliability", "Likelihood ratio of a score", "Scores"):
        assert words in page
    assert f"{calibration.points[0].threshold:.4f}" in page
    stored = json.loads((tmp_path / "report/calibration.json").read_text())
    assert stored == calibration.to_dict()


def test_rows(calibration):
    head, first, second = calibration_rows(calibration)
    assert head[:2] == ["FMR", "threshold (cosine)"]
    assert (first[0], first[-1], second[-1]) == ("0.1", "of 30", "of 3")
    summary = dict(summary_rows(calibration))
    assert summary["set"].startswith("made: 40 people, 780 pairs of people, 240 same and 12,480")
    assert "up to 781 : 1 for one person and 41 : 1 for two" in summary["likelihood ratios"]
    assert summary["warning"] == (
        "FMR 0.01 is an estimate (rule of 3); the rule of 30 takes 78 people, 38 more"
    )
    bare = Calibration.fit(*people_scores()[:2])
    assert "as if independent" in dict(summary_rows(bare))["intervals"]
    warning = dict(summary_rows(bare))["warning"]
    assert warning.endswith("the rule of 30 takes 17,520 more pairs of different people")


def test_what_is_said_is_about_what_is_found(calibration, pairs):
    groups = reliability(calibration, pairs)
    assert len(groups) >= 3
    assert sum(count for *_, count in groups) <= len(pairs.score)
    for said, found, _ in groups:
        assert abs(said - found) < 1


def test_failures_are_left_out_of_the_plots(calibration, pairs, tmp_path):
    score = pairs.score.copy()
    score[:50] = -np.inf
    failed = CalibrationPairs(
        score, pairs.issame, pairs.people, None, pairs.model, pairs.comparison, pairs.set
    )
    assert "nan" not in write_report(tmp_path, calibration, failed).read_text().lower().split()


def test_a_folder_that_cannot_be_made(calibration, pairs, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be made"):
        write_report(tmp_path / "file/report", calibration, pairs)
