"""curves.png."""

import numpy as np
from callback_cases import written

from gluonface._compat import cv2
from gluonface.training.callbacks.curves import draw_curves


def test_curves_show_something_in_every_panel(tmp_path):
    assert draw_curves(tmp_path) is None  # nothing to draw yet
    written(tmp_path, range(1, 30))
    path = draw_curves(tmp_path)
    image = cv2.imread(str(path))
    height, width = image.shape[:2]
    assert height > 500
    assert width > 800
    for rows in (slice(0, height // 2), slice(height // 2, height)):
        for columns in (slice(0, width // 2), slice(width // 2, width)):
            panel = image[rows, columns].reshape(-1, 3).astype(int)
            coloured = np.ptp(panel, axis=1) > 60  # axes and text are grey
            assert coloured.sum() > 200
