"""Fixtures of tests/training and tests/cli: noise as a training set, and a tiny backbone."""

import types

import numpy as np
import pytest

from gluonface.data import RecordWriter, VerificationPack, images


def noise(count, seed):
    random = np.random.Generator(np.random.PCG64(seed))
    small = random.integers(0, 256, (count, 7, 7, 3), dtype=np.uint8)
    return small.repeat(16, axis=1).repeat(16, axis=2)


class StopAt:
    """A callback that stops a run after a step, as a kill right after a checkpoint would."""

    def __init__(self, step):
        self.at = step

    def step_end(self, trainer):
        if trainer.progress.step == self.at:
            trainer.request_stop("half way")


def write_noise(folder):
    """Return an object with `data` (48 images of 6 people) and `pack` (20 pairs), as paths."""
    with RecordWriter(folder) as writer:
        for number, image in enumerate(noise(48, 0)):
            writer.add(images.encode(image, 101), number // 8)
    bins = [images.encode(image, 101) for image in noise(40, 1)]
    for pair in range(0, 20, 2):
        bins[2 * pair + 1] = bins[2 * pair]
    pack = folder / "noise.bin"
    VerificationPack(bins, [pair % 2 == 0 for pair in range(20)], name="noise").save(pack)
    return types.SimpleNamespace(data=str(folder), pack=str(pack))


@pytest.fixture(scope="session")
def noise_set(tmp_path_factory):
    """Return what `write_noise` does."""
    return write_noise(tmp_path_factory.mktemp("noise"))


@pytest.fixture(scope="session")
def tiny():
    """Register the tiny backbone and return its module."""
    import tiny

    return tiny
