"""Colour jitter."""

import numpy as np
from augment_images import run, smooth
from reference import augment as twin

from gluonface.data.augment import (
    AUGMENTATIONS,
)


def test_color_jitter_leaves_a_grey_grey_and_white_noise_of_hue_its_luma():
    grey = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), 3, axis=2)
    op = AUGMENTATIONS.get("color_jitter")(brightness=0, contrast=0, saturation=1, hue=0.5)
    for sample in range(5):
        assert np.abs(run(op, grey, sample).astype(int) - grey).max() <= 1
    middle = 128 + smooth(2) // 16  # far from 0 and 255: nothing is cut off
    for sample in range(5):
        before, after = (twin.luma(x.astype(float)) for x in (middle, run(op, middle, sample)))
        assert np.abs(before - after).max() < 1.2
