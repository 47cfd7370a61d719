"""The classifier of a run."""

import numpy as np
import pytest
from trainers import make

from gluonface.errors import InputError


def test_a_run_takes_them_and_says_so(tiny, noise_set, run, caplog):
    folder, old = run
    backbone = str(folder / "checkpoints/last/backbone.params")
    with caplog.at_level("INFO"):
        trainer = make(noise_set, model={"init": f"tiny:{backbone}"})
    assert "--init-centers" not in caplog.text  # weights alone have no centres
    (folder / "config.yaml").write_text("model: {name: tiny, embedding_size: 8}\n")
    with caplog.at_level("INFO"):
        trainer = make(noise_set, model={"init": str(folder)})
    assert "the class centres are new" in caplog.text
    assert not np.array_equal(trainer.head.get_centers(), old)
    caplog.clear()
    with caplog.at_level("INFO"):
        trainer = make(noise_set, model={"init": str(folder)}, head={"init": "same"})
    np.testing.assert_array_equal(trainer.head.get_centers(), old)
    assert "6 of 6, the others are new" in caplog.text
    with pytest.raises(InputError, match="there is no --init"):
        make(noise_set, head={"init": "same"})
