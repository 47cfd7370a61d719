"""The folder of a run, which all processes see."""

import pytest

from gluonface.errors import InputError, TrainingError
from gluonface.training.run_folder import RunFolder


def test_another_rank_sees_what_the_first_has_begun(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.require_new()
    with pytest.raises(TrainingError, match=r"config\.yaml.*file system that all machines share"):
        folder.require_begun(wait=0)
    folder.path.mkdir()
    folder.config.write_text("{}")
    folder.require_begun(wait=0)
    with pytest.raises(InputError, match="Add --resume"):
        folder.require_new()
