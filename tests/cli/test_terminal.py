"""What stands in names and files cannot steer the terminal."""

import io
import logging
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tqdm

from gluonface.cli import main
from gluonface.cli._terminal import PlainText
from gluonface.data import images

EVIL = "x\x1b[2J\x1b]0;owned\x07\u202e"
SHOWN = r"x\x1b[2J\x1b]0;owned\x07\u202e"


def test_a_progress_bar_moves_the_cursor_and_its_text_does_not():
    out = io.StringIO()
    stream = PlainText(out)
    with tqdm.tqdm(total=2, file=stream, desc=EVIL, position=1, mininterval=0) as bar:
        bar.update()
    text = out.getvalue()
    assert "\r" in text
    assert "\n\r" + SHOWN in text
    assert "\x1b" not in text.replace("\x1b[A", "")
    stream.writelines(["\x1b[A\n", "\x1b[Ab", "\ra\r"])
    assert out.getvalue().endswith("\x1b[A\n" + r"\x1b[Ab" + "\ra" + r"\r")


def test_the_stream_is_otherwise_the_one_below():
    stream = PlainText(sys.__stderr__)
    assert stream.fileno() == sys.__stderr__.fileno()
    assert stream.write("") == 0
    with pytest.raises(AttributeError):
        stream.nonsense  # noqa: B018


def make_picture(folder):
    (folder / "a.png").write_bytes(images.encode(np.zeros((112, 112, 3), np.uint8), 101))
    return folder / "a.png"


def run(*words, cwd):
    return subprocess.run(
        [sys.executable, "-m", "gluonface", *map(str, words)],
        cwd=cwd, capture_output=True, text=True, errors="backslashreplace",
    )  # fmt: skip


@pytest.mark.parametrize(
    "words",
    [
        ("data", "inspect", EVIL),
        ("data", "unpack", EVIL + ".bin", "out"),
        ("train", "--config", EVIL),
        ("eval", "verification", EVIL, "--model", EVIL),
        ("embed", "--input", EVIL, "--model", EVIL, "--out", "o.npz"),
        ("import", "--from", EVIL, "--model", "mobilefacenet", "--out", "o.params"),
        (EVIL,),
        ("models", EVIL),
    ],
)
def test_names_on_the_command_line_are_shown(words, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert main(list(words))
    out, errors = capfd.readouterr()
    assert "\x1b" not in out + errors
    assert r"\x1b[2J" in errors


def test_names_in_a_table_are_shown(tmp_path):
    person = tmp_path / "faces" / EVIL
    person.mkdir(parents=True)
    (person / (EVIL + ".jpg")).write_bytes(b"no picture")
    shutil.copy(make_picture(tmp_path), person / "a.png")
    found = run("data", "pack", "faces", "out", "--resize", cwd=tmp_path)
    assert SHOWN in found.stdout
    assert "\x1b" not in found.stdout + found.stderr


def test_the_log_of_a_run_shows_them(tmp_path):
    from gluonface.training.run_folder import _LogLine

    record = logging.LogRecord("gluonface", logging.INFO, "f", 1, "%s", (EVIL,), None)
    assert _LogLine("%(message)s").format(record) == SHOWN
