"""Faces marked on a copy of a photograph."""

import numpy as np
from recognition_cases import Marked

from gluonface.deploy import Embedder
from gluonface.recognition import FaceReader
from gluonface.recognition.draw import COLOURS, beside, draw_faces


def test_boxes_points_and_words(small_prefix):
    photo = np.full((300, 400, 3), 128, np.uint8)
    photo[60:160:7] = 90
    faces = FaceReader(Embedder.load(small_prefix), Marked((40, 50, 112))).read(photo)
    before = photo.copy()
    drawn = draw_faces(photo, faces, ["0.612 same person\nZoë"], "yes")
    np.testing.assert_array_equal(photo, before)
    assert tuple(drawn[50, 100]) == COLOURS["yes"]  # the upper side of the box
    for x, y in faces[0].points.round().astype(int):
        assert tuple(drawn[y, x]) == COLOURS["yes"]
    below = drawn[166:200, 40:160]
    assert (below == 255).all(axis=2).any()  # the words stand on white
    plain = draw_faces(photo, faces, [""], "no")
    assert (plain[170:] == photo[170:]).all()
    assert tuple(plain[50, 100]) == COLOURS["no"]


def test_words_stay_in_the_picture(small_prefix):
    photo = np.full((120, 130, 3), 128, np.uint8)
    faces = FaceReader(Embedder.load(small_prefix), Marked((5, 4, 112))).read(photo)
    drawn = draw_faces(photo, faces, ["same person"], "")
    assert drawn.shape == (480, 520, 3)  # enlarged, so that the words can be read
    assert (drawn == 255).all(axis=2).any()
    two = draw_faces(photo, faces, ["same person\nlikelihood ratio 9 : 1"], "")
    white = (two == 255).all(axis=2).sum(axis=1)
    assert (white[-40:] > 0).sum() > 1.6 * ((drawn == 255).all(axis=2).sum(axis=1)[-40:] > 0).sum()


def test_side_by_side():
    one, other = np.zeros((50, 30, 3), np.uint8), np.zeros((100, 40, 3), np.uint8)
    assert beside(one, other).shape == (100, 60 + 8 + 40, 3)
