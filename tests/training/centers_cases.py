"""A run whose centres another one takes."""

import pytest
from trainers import make

from gluonface.training.callbacks import SaveCheckpoints
from gluonface.training.checkpoint.checkpoints import Checkpoints


@pytest.fixture(scope="module")
def run(tiny, noise_set, tmp_path_factory):
    """Return a run folder with a checkpoint of 6 classes, and its centres."""
    folder = tmp_path_factory.mktemp("run")
    saver = SaveCheckpoints(Checkpoints(folder / "checkpoints"), 8)
    trainer = make(noise_set, [saver])
    trainer.fit()
    return folder, trainer.head.get_centers()
