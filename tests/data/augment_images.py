"""Images for the tests of augmentations, and one augmentation on one of them."""

import numpy as np
from reference import augment as twin

from gluonface.data import images
from gluonface.data.augment import (
    Pipeline,
)

SHAPE = (48, 32)  # not square, and a multiple of 16 for JPEG


def smooth(seed=0, shape=SHAPE):
    """Soft colours with a little noise: JPEG and interpolation have something to do."""
    random = np.random.Generator(np.random.PCG64(seed))
    image = images.resize(random.integers(0, 256, (5, 4, 3), dtype=np.uint8), shape)
    noise = random.normal(0, 4, (*shape, 3))
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def rough(seed=0, shape=SHAPE):
    return np.random.Generator(np.random.PCG64(seed)).integers(0, 256, (*shape, 3), dtype=np.uint8)


def drawn_for(op, sample, seed=5, epoch=2):
    """The numbers that an augmentation gets, and whether it is applied, by the twin's hash."""
    first = twin.slow_uniform(seed, epoch, sample, op.stream)
    rest = [twin.slow_uniform(seed, epoch, sample, op.stream + 1 + k) for k in range(op.draws)]
    return first >= 1 - op.p, rest


def run(op, image, sample, seed=5, epoch=2):
    return Pipeline([op]).image(image, seed, epoch, sample)
