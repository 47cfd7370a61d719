"""Every augmentation against its slow twin, and what a batch of them can rely on."""

import numpy as np
import pytest
from augment_images import SHAPE, drawn_for, rough, run, smooth
from reference import augment as twin

from gluonface.data import Loader
from gluonface.data.augment import (
    AUGMENTATIONS,
)

# --- random numbers


def test_streams_do_not_overlap():
    used = {}
    for name in AUGMENTATIONS.list():
        op = AUGMENTATIONS.get(name)(**({"n": 14} if name == "rand_augment" else {}))
        for number in range(op.stream, op.stream + op.draws + 1):
            assert used.setdefault(number, name) == name
    assert max(used) < 0x10000  # where the samplers begin


# --- each against its twin

# Levels (0..255) that a pixel may differ by, and why; and the share of pixels that may differ.
CASES = {
    "flip": ({}, rough, lambda image, drawn: image[:, ::-1], 0, 0),
    # OpenCV's fixed point has 10 bits: 3 products of up to 255 off by 2**-11 each.
    "color_jitter": (
        {"brightness": 0.5, "contrast": 0.4, "saturation": 0.9, "hue": 0.5},
        rough,
        None,
        1,
        0.25,
    ),
    "random_grey": ({}, rough, None, 1, 0.01),  # its luma has 14 bits
    # Each of the two passes rounds to 8 bits of fraction.
    "gaussian_blur": ({"min_sigma": 0.3, "max_sigma": 3}, rough, None, 1, 0.25),
    "low_resolution": ({"min_scale": 0.2, "max_scale": 0.9}, rough, None, 1, 0.25),
    "random_erasing": ({}, rough, None, 0, 0),
    "cutout": ({"size": 0.7}, rough, None, 0, 0),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("sample", range(6))
def test_equals_twin(name, sample):
    params, picture, expected, off, share = CASES[name]
    op = AUGMENTATIONS.get(name)(**{**params, "p": 1.0})
    image = picture(sample)
    result = run(op, image, sample)
    applied, drawn = drawn_for(op, sample)
    assert applied
    if expected is None:
        values = {k: getattr(op, k) for k in op.parameters if k != "p"}
        wanted = getattr(twin, name)(image, drawn, **values)
    else:
        wanted = expected(image, drawn)
    difference = np.abs(result.astype(np.int64) - wanted)
    assert difference.max() <= off
    assert (difference > 0).mean() <= share
    assert (result != image).any()


def test_every_augmentation_has_a_twin():
    apart = {"jpeg", "rand_augment", "mixup", "cutmix"}  # with tests of their own
    assert sorted(AUGMENTATIONS.list()) == sorted({*CASES, *apart})


class Pictures:
    """A data set in memory."""

    image_size = SHAPE
    labels = np.arange(48) % 5

    def __len__(self):
        return 48

    def load(self, index, out, flip=False, change=None):
        image = smooth(index)
        image = image[:, ::-1] if flip else image
        image = image if change is None else change(np.array(image, order="C"))
        out[...] = image.transpose(2, 0, 1)
        return int(self.labels[index])


@pytest.mark.parametrize("name", AUGMENTATIONS.list())
def test_the_same_on_any_number_of_workers_and_ranks_and_after_a_resume(name):
    options = {"seed": 2, "augment": [{name: {"p": 0.7}}]}
    whole = [batch.images for batch in Loader(Pictures(), 12, workers=1, **options).epoch(3)]
    plain = [batch.images for batch in Loader(Pictures(), 12, seed=2, flip=False).epoch(3)]
    assert any((one != other).any() for one, other in zip(whole, plain))
    parts = [
        [batch.images for batch in Loader(Pictures(), 4, rank=r, size=3, **options).epoch(3)]
        for r in range(3)
    ]
    for step, expected in enumerate(whole):
        np.testing.assert_array_equal(np.concatenate([part[step] for part in parts]), expected)
    resumed = [batch.images for batch in Loader(Pictures(), 12, workers=4, **options).epoch(3, 2)]
    np.testing.assert_array_equal(resumed, whole[2:])


@pytest.mark.parametrize("name", AUGMENTATIONS.list())
def test_share_of_the_images(name):
    """p is the share; 0 is never, 1 always."""
    build = AUGMENTATIONS.get(name)
    keys = np.arange(4000)

    def share(p):
        plans = build(p=p).plans(1, 0, keys, SHAPE)
        return np.mean([plan is not None for plan in plans])

    assert share(0.0) == 0
    always = share(1.0)
    assert always > 0.97  # random erasing may not fit, low resolution may be full resolution
    assert abs(share(0.3) - 0.3 * always) < 4 * np.sqrt(0.21 / 4000)


# --- lists
