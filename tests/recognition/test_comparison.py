"""Two photographs: the answer, its words, and what is refused."""

import json

import numpy as np
import pytest
from recognition_cases import Marked, comparison, model, people_images, people_scores

from gluonface.deploy import Embedder
from gluonface.errors import DataError, InputError
from gluonface.recognition import Calibration, FaceReader, compare
from gluonface.recognition.comparison import frequency


@pytest.fixture(scope="module")
def reader(small_prefix):
    return FaceReader(Embedder.load(small_prefix), "none")


@pytest.fixture(scope="module")
def calibration():
    return Calibration.fit(
        *people_scores(120, 3), model=model(), comparison=comparison(), set={"name": "made"},
        draws=50,
    )  # fmt: skip


@pytest.fixture(scope="module")
def faces():
    return people_images(2, 2)


def test_same_person(reader, calibration, faces):
    found = compare(reader, faces[0, 0], faces[0, 0].copy(), calibration, fmr=1e-2)
    assert found.score == pytest.approx(1, abs=1e-6)
    assert found.same
    text = str(found)
    lines = dict(line.split(None, 2)[:2] for line in text.splitlines() if line.startswith("same"))
    assert lines == {"same": "person"}
    assert "same person        yes" in text
    assert f"threshold {found.threshold:.3f} for 1 false match in 100" in text
    assert "more than 7,141 : 1 for one person (this set can show no more)" in text
    assert "95 % interval" in text
    assert "made (120 people, 7,140 pairs of people; rule of 30 kept), flip sum, crops" in text
    assert "confidence" not in text.lower()
    stored = json.loads(json.dumps(found.to_dict()))
    assert stored["same"] is True
    assert stored["calibration"]["set"]["people"] == 120


def test_two_people_and_a_prior(reader, calibration, faces):
    found = compare(reader, faces[0, 0], faces[1, 0], calibration, prior=0.5)
    assert found.probability == pytest.approx(
        np.exp(found.decision.llr) / (1 + np.exp(found.decision.llr))
    )
    assert "with the prior 0.5" in str(found)
    strict = compare(reader, faces[0, 0], faces[1, 0], calibration, fmr=1e-3)
    assert "rule of 3: FMR 0.001 is an estimate" in str(strict)
    assert "1 false match in 1,000" in str(strict)


def test_without_a_calibration_there_is_no_verdict(reader, faces):
    found = compare(reader, faces[0, 0], faces[0, 1], undecided="M has no calibration")
    assert found.same is None
    assert "same person" not in str(found)
    assert "no decision        M has no calibration" in str(found)


def test_a_threshold_of_ones_own(reader, faces):
    found = compare(reader, faces[0, 0], faces[0, 0], threshold=0.5)
    assert found.same is True
    assert "your threshold 0.500: its error rates are not known" in str(found)
    assert "likelihood" not in str(found)
    assert compare(reader, faces[0, 0], faces[0, 1], threshold=1.0).same is False


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"threshold": 1.5}, "expected a cosine"),
        ({"threshold": float("nan")}, "finite number"),
        ({"threshold": 0.3, "fmr": 0.1}, "leave one out"),
        ({"threshold": 0.3, "prior": 0.1}, "leave one out"),
        ({"fmr": 0.1}, "an FMR needs a calibration"),
        ({"prior": 0.1}, "a probability needs a calibration"),
        ({"several": "all"}, "several is 'all'"),
    ],
)
def test_options_that_do_not_go_together(reader, faces, options, said):
    with pytest.raises(InputError, match=said):
        compare(reader, faces[0, 0], faces[0, 1], **options)


@pytest.mark.parametrize(
    ("fmr", "said"), [(1e-5, "300,000 pairs"), (0.5, "not 0.5"), (-1, "FMR is")]
)
def test_a_rate_that_the_calibration_does_not_have(reader, calibration, fmr, said):
    with pytest.raises(InputError, match=said):
        compare(reader, "not even read.jpg", "nor this.jpg", calibration, fmr=fmr)
    with pytest.raises(InputError, match="prior is 1"):
        compare(reader, "not even read.jpg", "nor this.jpg", calibration, prior=1)


@pytest.fixture(scope="module")
def photo():
    image = np.full((300, 400, 3), 128, np.uint8)
    for number, place in enumerate((20, 240)):
        image[40:152, place : place + 112] = people_images(2, 1, seed=5)[number, 0]
    return image


def test_no_face(reader, photo):
    blind = FaceReader(reader.embedder, Marked())
    with pytest.raises(DataError, match=r"no face was found in A \(by marked 1\)\. Try --turn"):
        compare(blind, photo, photo)


def test_several_faces(reader, photo):
    two = FaceReader(reader.embedder, Marked((20, 40, 112), (240, 40, 100)))
    found = compare(two, photo, photo)
    assert "2 faces, the largest at (76, 96), 112 px" in str(found)
    assert "second face that is 80 % as large" in str(found)
    small = FaceReader(reader.embedder, Marked((20, 40, 112), (240, 40, 60)))
    assert not compare(small, photo, photo).warnings
    with pytest.raises(DataError, match="A has 2 faces; one was expected"):
        compare(two, photo, photo, several="refuse")


def test_pictures_of_one_name_are_told_apart_by_their_folders(reader, faces, tmp_path):
    from gluonface.data import images

    paths = []
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        paths.append(tmp_path / folder / "a.png")
        paths[-1].write_bytes(images.encode(faces[0, 0], 101))
    assert compare(reader, *paths).names == tuple(map(str, paths))


def test_rates_in_words():
    assert frequency(1e-3) == "1 false match in 1,000"
    assert frequency(0.008) == "1 false match in 125"
    assert frequency(0.3) == "1 false match in 3.3"
