"""The folder of a run, which all processes see."""

import logging

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


def test_the_log_file_hears_what_the_console_does_not(tmp_path, capsys):
    from gluonface.training.config.config import Config

    folder = RunFolder(tmp_path / "run")
    folder.begin(Config(), ["gluonface", "train", "--run", "a b"])
    logging.getLogger("gluonface.training").info("only for the file")
    folder.note("an error")
    folder.end()
    logging.getLogger("gluonface.training").info("after the end")
    text = (tmp_path / "run/train.log").read_text()
    assert "only for the file" in text
    assert "an error" in text
    assert "after the end" not in text
    assert "--run 'a b'" in (tmp_path / "run/command.txt").read_text()
    assert capsys.readouterr().err == ""
