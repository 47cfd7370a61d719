"""The folder of a run, which all processes see."""

import json
import logging
import os
import pathlib
import resource
import signal
import subprocess
import sys

import pytest

from gluonface.errors import DataError, InputError, TrainingError
from gluonface.training.config.config import Config
from gluonface.training.run_folder import RunFolder, with_absolute_paths


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


def begun(path):
    folder = RunFolder(path)
    folder.begin(Config(), ["gluonface"])
    return folder


def test_one_process_at_a_time_writes_to_a_run(tmp_path):
    first = begun(tmp_path / "run")
    holder = json.loads((tmp_path / "run/run.lock").read_text())
    assert holder["pid"] == os.getpid()
    who = f"is in use: process {os.getpid()} on {holder['host']}, since {holder['since']}"
    for resume in (False, True):
        with pytest.raises(InputError, match=who):
            RunFolder(tmp_path / "run").enter(resume)
    with pytest.raises(InputError, match=who):  # both had looked before one began
        begun(tmp_path / "run")
    assert RunFolder(tmp_path / "run").exists()  # reading is free
    first.end()
    with pytest.raises(InputError, match="already holds a run"):
        RunFolder(tmp_path / "run").enter(False)
    second = RunFolder(tmp_path / "run")
    second.enter(True)
    second.end()


HOLD = """
import sys, time
from gluonface.files import FileLock
lock = FileLock(sys.argv[1])
print(lock.acquire(), flush=True)
time.sleep(1000)
"""


def test_a_killed_run_holds_nothing(tmp_path):
    folder = begun(tmp_path / "run")
    folder.end()
    root = str(pathlib.Path(__file__).parents[2])
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "run/run.lock")],
        stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": root},
    ) as process:  # fmt: skip
        assert process.stdout.readline() == b"None\n"
        with pytest.raises(InputError, match=f"in use: process {process.pid} on"):
            RunFolder(tmp_path / "run").enter(True)
        process.send_signal(signal.SIGKILL)
        process.wait()
        folder.enter(True)
        folder.end()


def test_a_cut_or_edited_configuration_is_refused(tmp_path):
    folder = begun(tmp_path / "run")
    folder.end()
    folder.require_whole_config()
    text = folder.config.read_text()
    lines = text.splitlines(keepends=True)
    for wrong in (
        text[: len(text) // 2],
        "".join(lines[:-5]),
        text + "x: 1\n",
        lines[0],
        lines[0].rstrip("\n"),
    ):
        folder.config.write_text(wrong)
        with pytest.raises(DataError, match=r"config\.yaml is damaged, or was edited.*--set"):
            folder.require_whole_config()
    folder.config.write_text("".join(lines[1:]))  # written by hand: there is no checksum
    folder.require_whole_config()


def test_a_log_that_cannot_be_written_is_told_once(tmp_path, capsys, caplog):
    folder = begun(tmp_path / "run")
    log = tmp_path / "run/train.log"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (log.stat().st_size + 10, limits[1]))
    try:
        for _ in range(3):
            logging.getLogger("gluonface.training").info("a line that has no room")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    folder.end()
    assert caplog.text.count(f"{log} is not written any more: File too large") == 1
    assert "Traceback" not in capsys.readouterr().err


def test_what_a_killed_run_left_is_removed(tmp_path):
    begun(tmp_path / "run").end()
    left = tmp_path / "run/.curves.png.0a1b2c3d.part"
    left.touch()
    begun_again = RunFolder(tmp_path / "run")
    begun_again.enter(True)
    begun_again.begin(Config(), ["gluonface"])
    begun_again.end()
    assert not left.exists()


@pytest.mark.parametrize("source", ["runs/large", "x,12", "mobilefacenet:w/x.params", "x.onnx"])
def test_a_teacher_is_found_from_another_folder(source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = Config()
    config.teacher.source, config.teacher.centers = source, "means"
    name, colon, file = source.rpartition(":")
    there = with_absolute_paths(config).teacher
    assert there.source == f"{name}{colon}{tmp_path / file}"
    assert there.centers == "means"
    config.teacher.embeddings = config.teacher.centers = "t/x.npy"
    there = with_absolute_paths(config).teacher
    assert there.embeddings == there.centers == str(tmp_path / "t/x.npy")
