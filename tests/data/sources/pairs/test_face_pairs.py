"""The object that all forms give."""

import numpy as np
import pytest

from gluonface.data import images
from gluonface.data.sources.pairs import FacePairs
from gluonface.data.sources.pairs.face_pairs import common_group
from gluonface.errors import DataError, InputError


def made(issame=(True, False), side=112, **more):
    random = np.random.default_rng(0)
    pictures = [random.integers(0, 256, (side, side, 3)).astype(np.uint8) for _ in range(3)]
    encoded = [images.encode(picture, 101) for picture in pictures]
    sides = [[0, 1], [2, 0]][: len(issame)]
    pairs = FacePairs("x", sides, issame, encoded.__getitem__, "image {}".format, 3, **more)
    return pairs, encoded, pictures


def test_bytes_and_pictures():
    pairs, encoded, pictures = made(folds=[4, 7], groups=["a", "b"])
    assert len(pairs) == 2
    assert pairs.images(0) == (encoded[0], encoded[1])
    assert pairs.images(-1) == pairs.images(1) == (encoded[2], encoded[0])
    for wrong in (2, -3):
        with pytest.raises(InputError, match="pairs 0 to 1"):
            pairs.images(wrong)
    batches = list(pairs.iter_batches(2))
    assert [len(batch) for batch in batches] == [2, 1]
    np.testing.assert_array_equal(np.concatenate(batches), pictures)
    with pytest.raises(InputError, match="batch_size"):
        next(pairs.iter_batches(0))


def test_other_sizes_need_a_word():
    pairs, _, _ = made(side=30)
    with pytest.raises(DataError, match=r"image 0 has 30 x 30 pixels; .*--resize"):
        pairs.image(0)
    pairs.resize = True
    assert pairs.image(0).shape == (112, 112, 3)


def test_broken_images_are_named():
    pairs = FacePairs("x", [[0, 1]], [True], lambda n: b"no image", "image {}".format, 2)
    with pytest.raises(DataError, match="image 1 cannot be used"):
        pairs.image(1)
    with pytest.raises(DataError, match="x holds no pairs"):
        FacePairs("x", [], [], bytes, str, 0)


def test_groups_of_two_images():
    assert common_group("b", "a") == common_group("a", "b") == "a | b"
    assert common_group("a", "a") == "a"


def test_groups_that_are_lists_have_folds_of_their_own():
    sides = [[0, 1]] * 16
    issame = [True, True, False, False] * 2 + [False, True] * 4
    groups = ["b"] * 8 + ["a"] * 8
    one = FacePairs("x", sides, issame, bytes, str, 2, groups=groups, group_lists=True)
    fold, dealt = one.fair_folds(2)
    assert fold.tolist() == [0] * 4 + [1] * 4 + [0] * 4 + [1] * 4
    assert not dealt
    fold, dealt = one.fair_folds(4)
    assert fold.tolist() == [0, 1, 0, 1, 2, 3, 2, 3, 0, 0, 1, 1, 2, 2, 3, 3]
    assert dealt
