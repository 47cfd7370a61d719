"""What stands in names and files cannot steer the terminal."""

import io
import logging
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tqdm

from gluonface.cli import main
from gluonface.cli._terminal import PlainText
from gluonface.data import VerificationPack, images
from gluonface.errors import LogLine
from gluonface.model_zoo import get_model

EVIL = "x\x1b[2J\x1b]0;owned\x07\u202e"
FORGED, FORGED_SHOWN = "x\nFORGED 12:00:00 INFO fine", r"x\nFORGED 12:00:00 INFO fine"
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
    record = logging.LogRecord("gluonface", logging.INFO, "f", 1, "%s", (FORGED,), None)
    assert LogLine("%(message)s").format(record) == FORGED_SHOWN
    try:
        raise ValueError(EVIL)
    except ValueError:
        record.exc_info = sys.exc_info()
    lines = LogLine("%(message)s").format(record).splitlines()
    assert lines[0] == FORGED_SHOWN
    assert lines[1].startswith("Traceback")
    assert lines[-1] == f"ValueError: {SHOWN}"


def test_a_line_feed_in_a_name_makes_no_line_of_its_own(tmp_path):
    faces, good = tmp_path / FORGED, make_picture(tmp_path)
    for person in ("a", f"b{FORGED}"):
        (faces / person).mkdir(parents=True)
        shutil.copy(good, faces / person / f"{FORGED}.png")
        (faces / person / f"{FORGED}.jpg").write_bytes(b"no picture")
        (faces / person / f"{FORGED}.gif").write_bytes(b"no photograph")
    points = "1 2 3 4 5 6 7 8 9 10"
    (tmp_path / "points").write_text(f"a.png {points}\n")
    pack = tmp_path / f"{FORGED}.bin"
    VerificationPack([good.read_bytes()] * 40, [True, False] * 10).save(pack)
    model = f"mobilefacenet:{tmp_path}/m.params"
    net = get_model("mobilefacenet")  # with random weights
    net.save_parameters(model.partition(":")[2])
    commands = (
        (0, ("data", "pack", faces, f"out{FORGED}")),
        (0, ("data", "align", faces, f"c{FORGED}", "--landmarks", "points")),
        (2, ("data", "unpack", f"out{FORGED}", FORGED)),
        (0, ("embed", "--model", model, "--input", faces, "--allow-bad", 9, "--out", "o.npz")),
        (0, ("eval", "verification", "--model", model, "--pack", pack)),
        (2, ("gallery", "enrol", "g", faces, "--model", model, "--detector", "none")),
        (2, ("train", "--config", tmp_path / FORGED / "no.yaml")),
    )
    # A process of its own, with the logs of a command; one for all, since its start takes time.
    code = """
import sys
from gluonface.cli import main
for words in sys.argv[1:]:
    status = main(words.split("|"))
    for stream in (sys.stdout, sys.stderr):
        print(f"<{status}>", file=stream, flush=True)
"""
    texts = ["|".join(map(str, words)) for _, words in commands]
    command = [sys.executable, "-c", code, *texts]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    parts = re.compile("^<([0-9])>\n", re.M)
    outputs, errors = parts.split(done.stdout), parts.split(done.stderr)
    assert outputs[1::2] == errors[1::2] == [str(status) for status, _ in commands], done.stderr
    for words, output, error in zip(texts, outputs[::2], errors[::2]):
        assert r"\nFORGED" in output + error, words
        assert not re.findall("^FORGED.*", output + error, re.M), words
