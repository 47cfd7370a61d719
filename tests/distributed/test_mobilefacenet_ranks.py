"""MobileFaceNet on the synthetic faces: two processes reach the loss curve of one."""

import numpy as np
import pytest
from runs import finish, losses

from gluonface.data import synthesize

pytestmark = pytest.mark.slow
SETTINGS = (
    "model.name=mobilefacenet",
    "data.batch_size=8",
    "train.steps=16",
    "optimizer.lr=0.02",
    "schedule.warmup_steps=4",
    "loss.margin=0.3",
)


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    folder = tmp_path_factory.mktemp("faces")
    synthesize(folder, identities=30, images=8, test_identities=20, pairs=100)
    return folder


def curves(tmp_path, faces, point):
    for processes in (1, 2):
        finish(
            processes, tmp_path / str(processes), faces, point=point, settings=SETTINGS, timeout=900
        )
    return losses(tmp_path / "1"), losses(tmp_path / "2")


def test_with_frozen_statistics_the_curves_are_one(tmp_path, faces):
    """BatchNorm with fixed statistics: nothing depends on how a batch is split.

    So what is left is the order in which float32 sums are added. It was seen to change the loss by
    at most 2.4e-7 of it in 16 steps, two units in the last place. The band of the test below is
    that of the statistics alone.
    """
    one, two = curves(tmp_path, faces, "frozen:0")
    assert one[-4:].mean() < one[:4].mean()
    np.testing.assert_allclose(two, one, rtol=1e-5)


def test_with_batch_statistics_they_stay_near(tmp_path, faces):
    """Each process normalises its own 4 of 8 images: another network, a little."""
    one, two = curves(tmp_path, faces, "none:0")
    # Measured with train.seed 0 and 1: the first step differs by 1.8 % and 0.3 %; single later ones
    # by up to 32 %, so means over eight steps are compared: 0.01 and 1.5 %, 5.9 and 9.2 %. The
    # bands leave room for a processor that rounds in another way, no more.
    assert abs(two[0] / one[0] - 1) < 0.05
    for part in range(2):
        a, b = (curve[8 * part : 8 * part + 8].mean() for curve in (one, two))
        assert abs(b / a - 1) < 0.15, (part, a, b)
