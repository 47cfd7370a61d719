"""Made-up record sets: small noise pictures, so that a fresh clone proves everything."""

import types

import numpy as np
import pytest

from gluonface.data import RecordWriter, images


def pictures(count, side=16, seed=0):
    random = np.random.Generator(np.random.PCG64(seed))
    return random.integers(0, 256, (count, side, side, 3), dtype=np.uint8)


@pytest.fixture
def made(tmp_path):
    """Return a function that writes a set; the result has folder, pixels, encoded, labels."""

    def make(people=6, each=5, side=16, quality=101, folder="made", num_classes=None):
        pixels = pictures(people * each, side)
        encoded = [images.encode(pixel, quality) for pixel in pixels]
        labels = np.repeat(np.arange(people), each)
        with RecordWriter(tmp_path / folder, num_classes=num_classes) as writer:
            for image, label in zip(encoded, labels):
                writer.add(image, label)
        return types.SimpleNamespace(
            folder=tmp_path / folder, pixels=pixels, encoded=encoded, labels=labels
        )

    return make
