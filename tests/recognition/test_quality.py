"""Measurements of faces and the reasons that they give."""

import numpy as np
import pytest

from gluonface._compat import cv2
from gluonface.data.alignment import TEMPLATE
from gluonface.recognition.quality import measure, percentile

NORMS = {"0.01": 10.0, "0.05": 12.0, "0.5": 20.0, "0.95": 28.0, "0.99": 30.0}


@pytest.fixture(scope="module")
def crop():
    random = np.random.RandomState(0)
    coarse = random.randint(60, 200, (28, 28, 3)).astype(np.uint8)
    return cv2.resize(coarse, (112, 112), interpolation=cv2.INTER_CUBIC)


def reasons(crop, norm=20.0, points=TEMPLATE + 40, size=(300, 300), confidence=0.99):
    return measure(crop, norm, points, size, confidence, NORMS).reasons


def test_a_good_face_has_no_reason(crop):
    found = measure(crop, 20.0, TEMPLATE + 40, (300, 300), 0.99, NORMS)
    assert found.reasons == ()
    assert not found.refused
    assert found.percentile == 0.5
    assert str(found) == "quality 50 %"
    assert found.tilt == pytest.approx(0.495, abs=0.005)  # the template is frontal
    assert found.turn < 0.01
    assert found.eye_distance == pytest.approx(35.24, abs=0.01)


def turned(points, shift):
    points = points.copy()
    points[2, 0] += shift
    return points


def nodding(shift):
    points = TEMPLATE.copy()
    points[2, 1] += shift
    return points


@pytest.mark.parametrize(
    ("expected", "change"),
    [
        ("too small", {"points": TEMPLATE * 0.5}),
        ("turned", {"points": turned(TEMPLATE, 14)}),
        ("turned", {"points": turned(TEMPLATE, -14)}),
        ("tilted", {"points": nodding(12)}),
        ("tilted", {"points": nodding(-12)}),
        ("unsure", {"confidence": 0.7}),
        ("cut", {"points": TEMPLATE - [45, 0]}),
        ("cut", {"size": (100, 300)}),
        ("weak", {"norm": 9.9}),
    ],
)
def test_each_reason(crop, expected, change):
    assert reasons(crop, **change) == (expected,)


def test_reasons_of_the_pixels(crop):
    sharp, soft = (measure(c, 20.0).sharpness for c in (crop, cv2.GaussianBlur(crop, (0, 0), 3)))
    assert soft < sharp / 4
    slope = np.linspace(50, 200, 112).astype(np.uint8)[None, :, None].repeat(112, 0).repeat(3, 2)
    assert reasons(slope) == ("blurred",)
    dark = (crop * 0.2).astype(np.uint8)
    assert reasons(dark) == ("dark",)
    bright = (230 + crop * 0.09).astype(np.uint8)
    assert reasons(bright) == ("bright",)
    plain = np.full_like(crop, 128)
    assert "blurred" in reasons(plain)  # nothing in it: no division by zero


def test_only_small_and_weak_faces_are_refused(crop):
    assert measure(crop, 20.0, TEMPLATE * 0.25).refused
    assert not measure(crop, 20.0, TEMPLATE * 0.35).refused
    assert measure(crop, 9.0, norms=NORMS).refused
    assert not measure((crop * 0.1).astype(np.uint8), 20.0, norms=NORMS).refused


def test_a_face_on_its_side_is_measured_along_its_eyes(crop):
    turn = np.array([[0.0, -1.0], [1.0, 0.0]])
    points = (TEMPLATE - 56) @ turn.T + 150
    upright = measure(crop, 20.0, TEMPLATE, (300, 300), 0.99, NORMS)
    side = measure(crop, 20.0, points, (300, 300), 0.99, NORMS)
    assert side.reasons == ()
    assert side.tilt == pytest.approx(upright.tilt)
    assert side.turn == pytest.approx(upright.turn)


def test_without_a_calibration_there_is_no_percentile(crop):
    found = measure(crop, 5.0)
    assert found.percentile is None
    assert found.reasons == ()
    assert str(found) == ""
    assert percentile(16.0, NORMS) == pytest.approx(0.275)
    assert (percentile(1.0, NORMS), percentile(99.0, NORMS)) == (0.0, 1.0)


def test_landmarks_in_one_place_do_not_divide_by_zero(crop):
    found = measure(crop, 20.0, np.zeros((5, 2)), (300, 300), 0.99, NORMS)
    assert "too small" in found.reasons
    assert found.turn is None
