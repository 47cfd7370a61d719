import dataclasses
import json

import numpy as np
import pytest
from gallery_files import MODEL
from recognition_cases import comparison, people_scores

from gluonface.errors import DataError, InputError
from gluonface.recognition import Calibration, Gallery, check_gallery
from gluonface.recognition.check import find_strangers, gallery_point, read_check, strict_point
from gluonface.recognition.gallery import EnrolledFace, make_templates


def gallery(path, people, images=3, calibration=None, seed=0, **words):
    rng = np.random.default_rng(seed)
    found = Gallery.create(path, MODEL, calibration=calibration, **words)
    centers = rng.standard_normal((people, 16))
    found.add(
        (f"p{n:03d}", [EnrolledFace(c + 0.3 * rng.standard_normal(16)) for _ in range(images)])
        for n, c in enumerate(centers)
    )
    return found


@pytest.fixture(scope="module")
def calibration():
    score, issame, people = people_scores(100, 2, 16)
    return Calibration.fit(
        score, issame, people, [0.1, 0.01], model=MODEL, comparison=comparison(), draws=2
    )


def test_the_reference(shared):
    folder = shared / "reference/recognition"
    arrays, known = np.load(folder / "use.npz"), json.loads((folder / "use.json").read_text())
    known, raw, person = known["gallery"], arrays["search_raw"], arrays["search_person"]
    people, templates = make_templates(raw, person, "sum", np.float64)
    templates[7] = templates[3]
    units = raw / np.linalg.norm(raw, axis=1, keepdims=True)
    for pairs, end in (((), ""), ([(3, 7)], "_without")):
        best = find_strangers(units, person, people, templates, pairs)
        threshold, over, allowed = strict_point(best, known["fpir"])
        assert threshold == pytest.approx(known[f"threshold{end}"], rel=1e-12)
        assert (over, allowed) == (known[f"over{end}"], known["allowed"])
    assert len(best) == known["searches"]


@pytest.mark.parametrize("template", ["sum", "mean", "max"])
def test_the_rates_are_those_of_the_gallery_itself(tmp_path, template):
    found = gallery(tmp_path / "g", 40, template=template)
    result = check_gallery(found, [0.1, 0.2])
    assert [(p.fpir, p.support, p.allowed, p.searches) for p in result.points] == [
        (0.2, "3", 24, 120),
        (0.1, "3", 12, 120),
    ]
    people, templates = found.templates()
    units = found.outputs / np.linalg.norm(found.outputs, axis=1, keepdims=True)
    scores = units @ templates.T
    scores[found.person[:, None] == people[None]] = -2
    best = np.sort(scores.max(axis=1))[::-1]
    for point in result.points:
        assert point.threshold == pytest.approx(best[point.allowed], abs=1e-6)
        # With "max" each score stands twice, once for either face, but for rounding.
        assert point.allowed - 1 <= point.over <= point.allowed


def test_people_who_are_perhaps_one(tmp_path):
    found = gallery(tmp_path / "g", 40)
    own = found.outputs[found.person == 5]
    found.add([("twin", [EnrolledFace(output * 1.01) for output in own])])
    result = check_gallery(found, [0.1])
    assert result.duplicates[0][:2] == ("p004", "twin")
    assert result.duplicates[0][2] == pytest.approx(1, abs=1e-5)
    (point,) = result.points
    assert point.threshold >= point.threshold_without
    assert point.over_without <= point.allowed


def test_too_few_people(tmp_path, calibration):
    alone = gallery(tmp_path / "alone", 1)
    with pytest.raises(InputError, match="holds 1 people"):
        check_gallery(alone)
    few = gallery(tmp_path / "few", 20)
    with pytest.raises(InputError) as error:
        check_gallery(few, [0.1])
    assert "FPIR 0.1 needs 30 people" in str(error.value)
    assert "Ask for 0.15 or more, or add people" in str(error.value)
    with pytest.raises(InputError, match="needs 30 people"):
        check_gallery(few)
    assert [p.support for p in check_gallery(few, [0.15]).points] == ["3"]
    calibrated = gallery(tmp_path / "calibrated", 20, calibration=calibration.to_dict())
    (point,) = check_gallery(calibrated, [0.1]).points
    assert (point.source, point.threshold) == ("calibration", calibration.threshold(0.1 / 20)[0])
    with pytest.raises(InputError, match="its calibration has too few trials for FMR 5e-5"):
        check_gallery(calibrated, [0.001])
    assert [p.fpir for p in check_gallery(calibrated).points] == [0.1]  # of those by default


def test_a_stored_check(tmp_path):
    found = gallery(tmp_path / "g", 40)
    assert gallery_point(found) == (None, None)
    with pytest.raises(InputError, match="was never checked"):
        gallery_point(found, 0.1)
    result = check_gallery(found, [0.1, 0.2])
    found.set_about("check", result.to_dict())
    again = Gallery.open(tmp_path / "g")
    assert read_check(again) == dataclasses.replace(result)
    assert gallery_point(again)[0].fpir == 0.1
    assert gallery_point(again, 0.2)[0].fpir == 0.2
    with pytest.raises(InputError, match=r"was checked for FPIR 0\.2, 0\.1, not 0\.05"):
        gallery_point(again, 0.05)
    for number in range(4):
        again.remove(f"p{number:03d}")
    assert gallery_point(again)[1] is None  # 36 of 40: a tenth
    again.remove("p010")
    assert "measured with 40 people, there are 35 now" in gallery_point(again)[1]
    again.set_about("check", {"points": [{"fpir": 1}]})
    with pytest.raises(DataError, match="the check in it cannot be read"):
        gallery_point(again)


@pytest.mark.parametrize("fpir", [-0.1, 1.5, float("nan")])
def test_rates_that_cannot_be(tmp_path, fpir):
    with pytest.raises(InputError, match="the FPIR is"):
        check_gallery(gallery(tmp_path / "g", 40), [fpir])


def test_strangers_get_what_was_promised():
    """Made people: of new strangers about the share of the FPIR is named."""
    shares = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        centers = rng.standard_normal((300, 32))
        outputs = np.repeat(centers[:200], 3, axis=0) + 0.6 * rng.standard_normal((600, 32))
        person = np.repeat(np.arange(200), 3)
        people, templates = make_templates(outputs, person, "sum", np.float64)
        units = outputs / np.linalg.norm(outputs, axis=1, keepdims=True)
        threshold, _, _ = strict_point(find_strangers(units, person, people, templates), 0.1)
        probes = centers[200:] + 0.6 * rng.standard_normal((100, 32))
        probes /= np.linalg.norm(probes, axis=1, keepdims=True)
        shares.append(np.mean((probes @ templates.T).max(axis=1) > threshold))
    assert 0.06 < np.mean(shares) < 0.14
