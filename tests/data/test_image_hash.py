import numpy as np
import pytest

from gluonface._compat import cv2
from gluonface.data import images
from gluonface.data.image_hash import hash_image, near_hashes


def scene(seed):
    rng = np.random.default_rng(seed)
    return cv2.resize(rng.integers(0, 256, (6, 6, 3), np.uint8), (112, 112))


def bits(a, b):
    return bin(a ^ b).count("1")


@pytest.mark.parametrize("seed", range(5))
def test_copies_are_near(seed):
    image = scene(seed)
    own = hash_image(image)
    assert bits(own, hash_image(images.decode(images.encode(image, 30)))) <= 4
    assert bits(own, hash_image(cv2.resize(image, (200, 150)))) <= 4
    assert bits(own, hash_image(scene(seed + 100))) > 8
    assert hash_image(image, mirror=True) == hash_image(image[:, ::-1])


def test_the_bits_by_hand():
    steps = np.repeat(np.arange(9, dtype=np.uint8) * 20, 10)
    rising = np.repeat(steps[None, :, None], 80, axis=0).repeat(3, axis=2)
    assert hash_image(rising) == 2**64 - 1
    assert hash_image(rising[:, ::-1]) == 0


@pytest.mark.parametrize("near", [0, 3, 4])
def test_all_near_pairs_are_found(near):
    rng = np.random.default_rng(near)
    one = rng.integers(0, 2**63, 60, np.uint64) * np.uint64(2) + np.uint64(1)
    other = one.copy()
    for place in range(60):
        for bit in rng.choice(64, place % 8, replace=False):
            other[place] ^= np.uint64(1) << np.uint64(bit)
    found = near_hashes(one, other, near)
    expected = [
        (a, b, bits(int(x), int(y))) for a, x in enumerate(one) for b, y in enumerate(other)
    ]
    assert found == [row for row in expected if row[2] <= near]
    assert near_hashes(one[:0], other) == []
