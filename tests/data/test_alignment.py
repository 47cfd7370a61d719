"""Alignment against a general solver, on made landmarks and images."""

import numpy as np
import pytest

from gluonface.data.alignment import TEMPLATE, align_face, five_points, similarity_transform
from gluonface.errors import InputError


def umeyama(points, target):
    """The textbook solution by singular values, with the reflection taken out."""
    p, q = points - points.mean(0), target - target.mean(0)
    u, s, vt = np.linalg.svd(q.T @ p / len(points))
    sign = np.diag([1.0, np.sign(np.linalg.det(u) * np.linalg.det(vt))])
    rotation = u @ sign @ vt
    scale = np.trace(np.diag(s) @ sign) / (p**2).sum() * len(points)
    return np.hstack(
        [scale * rotation, (target.mean(0) - scale * rotation @ points.mean(0))[:, None]]
    )


@pytest.mark.parametrize("seed", range(5))
def test_it_is_the_least_squares_similarity(seed):
    points = np.random.default_rng(seed).uniform(0, 500, (5, 2))
    found = similarity_transform(points)
    # float64 with coordinates of a few hundred pixels
    np.testing.assert_allclose(found, umeyama(points, TEMPLATE), rtol=1e-9, atol=1e-9)
    assert np.linalg.det(found[:, :2]) > 0  # never a reflection


def test_a_mirrored_face_is_not_reflected():
    points = TEMPLATE * [-1, 1] + [200, 10]  # a best fit with reflection would be exact
    matrix = similarity_transform(points)
    moved = points @ matrix[:, :2].T + matrix[:, 2]
    assert np.abs(moved - TEMPLATE).max() > 5


def test_a_turned_face_comes_back_where_the_template_says():
    angle, scale, shift = 0.4, 2.3, np.array([80.0, 40.0])
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = TEMPLATE @ turn.T + shift
    photo = np.zeros((420, 420, 3), np.uint8)
    for x, y in points:
        photo[int(y) - 2 : int(y) + 4, int(x) - 2 : int(x) + 4] = 255
    crop = align_face(photo, points)
    assert crop.shape == (112, 112, 3)
    for x, y in TEMPLATE:
        assert crop[round(y), round(x), 0] > 200
    assert (crop > 128).any(-1).mean() < 0.02  # five dots and nothing else
    twice = align_face(photo, points, size=224)
    assert twice[round(2 * TEMPLATE[2, 1]), round(2 * TEMPLATE[2, 0]), 0] > 200


def test_an_aligned_crop_stays_as_it_is():
    image = np.random.default_rng(0).integers(0, 256, (112, 112, 3), dtype=np.uint8)
    np.testing.assert_array_equal(align_face(image, TEMPLATE), image)


def test_68_points():
    points = np.random.default_rng(1).uniform(0, 100, (68, 2))
    five = five_points(points)
    np.testing.assert_array_equal(five[0], (points[36] + points[39]) / 2)
    np.testing.assert_array_equal(five[1], (points[42] + points[45]) / 2)
    np.testing.assert_array_equal(five[2:], points[[30, 48, 54]])


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (np.zeros((4, 2)), r"\(4, 2\)"),
        (np.full((5, 2), np.nan), "not finite"),
        (np.ones((5, 2)), "all at"),
    ],
)
def test_landmarks_that_are_none(points, message):
    with pytest.raises(InputError, match=message):
        five_points(points)
