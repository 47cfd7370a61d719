"""`export` and `embed` killed, and on a full disk: nothing, or whole files, under the names."""

import hashlib
import json
import os
import pathlib
import random
import re
import resource
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from gluonface.deploy import Embedder
from gluonface.errors import GluonfaceError, InputError
from gluonface.weights.source import find_source

ROOT = pathlib.Path(__file__).parents[2]
# Write three files, killed at the Nth call of a function of the system, for each N.
CHILD = """
import os, pathlib, signal, sys, tempfile
from gluonface.deploy.export import write_together
folder = pathlib.Path(sys.argv[1])
names = ("m-symbol.json", "m-0000.params", "m.json")
number = 0
while True:
    number += 1
    place = folder / str(number)
    place.mkdir()
    pid = os.fork()
    if not pid:
        calls = [0]
        def counted(function):
            def call(*args, **kwargs):
                calls[0] += 1
                if calls[0] == number:
                    os.kill(os.getpid(), signal.SIGKILL)
                return function(*args, **kwargs)
            return call
        for owner, name in ((os, "fsync"), (os, "replace"), (os, "chmod"), (tempfile, "mkstemp")):
            setattr(owner, name, counted(getattr(owner, name)))
        write_together({place / name: name.encode() * 1000 for name in names})
        os._exit(0)
    if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0:
        break
"""


def run(*words, **kwargs):
    return subprocess.Popen(
        [sys.executable, *map(str, words)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **kwargs,
    )


def test_files_are_whole_and_the_symbol_comes_last(tmp_path):
    # Python 3.12 and later warn of a fork beside threads.
    done = run("-W", "ignore::DeprecationWarning", "-c", CHILD, tmp_path)
    assert done.communicate(timeout=120)[1] == ""
    states = []
    for place in sorted(tmp_path.iterdir(), key=lambda path: int(path.name)):
        there = {path.name for path in place.iterdir() if not path.name.startswith(".")}
        assert all((place / name).read_bytes() == name.encode() * 1000 for name in there)
        states.append(there)
        if there != {"m-symbol.json", "m-0000.params", "m.json"}:
            with pytest.raises(InputError):  # what is there is not taken for a model
                find_source(place / "m")
    assert [len(there) for there in states] == sorted(len(there) for there in states)
    assert {frozenset(there) for there in states} == {
        frozenset(),
        frozenset({"m.json"}),
        frozenset({"m.json", "m-0000.params"}),
        frozenset({"m.json", "m-0000.params", "m-symbol.json"}),
    }


def limit(size):
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.parametrize(
    "which", ["small-0000.params", pytest.param("small-symbol.json", marks=pytest.mark.slow)]
)
def test_a_full_disk_leaves_nothing(small_prefix, tmp_path, which):
    size = (small_prefix.parent / which).stat().st_size
    words = ("export", "--model", small_prefix, "--out", tmp_path / "m", "--log-level", "error")
    done = run("-m", "gluonface", *words, preexec_fn=limit(size // 2))
    out, errors = done.communicate(timeout=120)
    assert done.returncode == 1
    *others, last = errors.splitlines()
    path = rf"{tmp_path}/m(-symbol.json|-0000.params|.json)"
    assert re.fullmatch(rf"gluonface export: error: {path}: File too large", last)
    assert not [line for line in others if "Error" in line or "ignored" in line]
    assert out == ""
    assert list(tmp_path.iterdir()) == []


def whole(folder):
    """Return whether there is a model, after checking that it is whole."""
    card = folder / "m.json"
    try:
        model = Embedder.load(folder / "m", ctx="cpu", engine="mxnet")
    except InputError:
        return False
    assert model.card["name"] == "small"
    for role, name in (("params", "m-0000.params"), ("symbol", "m-symbol.json")):
        digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        assert json.loads(card.read_text())["sha256"][role] == digest
    return True


def killed(words, seconds):
    """Start the command, kill it after a time; return whether it had ended."""
    process = run("-m", "gluonface", *words)
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    return process.returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("command", ["export", "embed"])
def test_killed_at_any_moment(small_prefix, tmp_path, command):
    pictures = tmp_path / "pictures"
    if command == "embed":
        from gluonface._compat import cv2

        pictures.mkdir()
        for number in range(40):
            image = np.full((112, 112, 3), number, np.uint8)
            cv2.imwrite(str(pictures / f"{number}.png"), image)

    def words(folder):
        if command == "export":
            return ("export", "--model", small_prefix, "--out", folder / "m")
        model = ("--model", small_prefix, "--input", pictures, "--batch-size", 1)
        return ("embed", *model, "--out", folder / "m.npz", "--engine", "mxnet")

    begin = time.monotonic()
    (tmp_path / "first").mkdir()
    process = run("-m", "gluonface", *words(tmp_path / "first"))
    process.communicate(timeout=120)
    assert process.returncode == 0
    duration, moments, ends = time.monotonic() - begin, random.Random(command), []
    for number in range(24):
        folder = tmp_path / str(number)
        folder.mkdir()
        ended = killed(words(folder), moments.uniform(0.5, 1.1) * duration)
        if command == "export":
            found = whole(folder)
        else:
            found = (folder / "m.npz").exists()
            if found:
                with np.load(folder / "m.npz", allow_pickle=False) as file:
                    assert file["embedding"].shape == (40, 16)
                    assert len(file["path"]) == 40
        assert found or not ended
        ends.append(found)
    assert not all(ends)


def test_an_older_card_is_not_used_for_newer_files(small_prefix, tmp_path, caplog):
    """Killed between the names, an export over another one leaves a card that does not fit."""
    for name in ("-symbol.json", "-0000.params", ".json"):
        data = small_prefix.with_name(f"small{name}").read_bytes()
        (tmp_path / f"m{name}").write_bytes(data)
    card = json.loads((tmp_path / "m.json").read_text())
    card["sha256"]["params"] = "0" * 64
    (tmp_path / "m.json").write_text(json.dumps({**card, "name": "other"}))
    try:
        model = Embedder.load(tmp_path / "m", ctx="cpu", engine="mxnet")
    except GluonfaceError as error:
        pytest.fail(str(error))
    assert model.card["name"] == "m"
    assert "of another file; it is not used" in caplog.text
