"""Erased rectangles."""

import numpy as np

from gluonface.data.augment import (
    AUGMENTATIONS,
)


def test_holes_lie_as_the_papers_say():
    erasing = AUGMENTATIONS.get("random_erasing")(p=1)
    boxes = np.array([p[:4] for p in erasing.plans(0, 0, np.arange(3000), (112, 112)) if p])
    sides = boxes[:, 2:] - boxes[:, :2]
    areas = sides.prod(1) / 112**2
    assert boxes.min() >= 0
    assert boxes.max() <= 112
    assert 0.018 < areas.min() < 0.03
    assert 0.37 < areas.max() < 0.405
    cutout = AUGMENTATIONS.get("cutout")()
    boxes = np.array([p[:4] for p in cutout.plans(0, 0, np.arange(3000), (112, 112))])
    sides = boxes[:, 2:] - boxes[:, :2]
    assert sides.max() == 56
    assert sides.min() == 28  # around a corner pixel
    assert abs((sides == 56).mean() - 57 / 112) < 0.03
