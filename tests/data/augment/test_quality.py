"""JPEG compression."""

import numpy as np
import pytest
from augment_images import drawn_for, run, smooth
from reference import augment as twin

from gluonface.data.augment import (
    AUGMENTATIONS,
)


@pytest.mark.parametrize("sample", range(4))
def test_jpeg_equals_twin(sample):
    """libjpeg computes colours, chroma means and the cosine transform in whole numbers, so a
    coefficient may be quantised to its other side, which at quality 30 is many levels: compare
    with what the compression itself costs."""
    op = AUGMENTATIONS.get("jpeg")(p=1.0)
    image = smooth(sample)
    wanted = twin.jpeg(image, drawn_for(op, sample)[1], 30, 95)
    difference = np.abs(run(op, image, sample).astype(np.int64) - wanted)
    lost = np.abs(image.astype(np.int64) - wanted)
    assert difference.mean() < 1
    assert np.percentile(difference, 99) <= 8
    assert difference.mean() < lost.mean() / 4
