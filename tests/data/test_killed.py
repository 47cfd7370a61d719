"""Long work that is killed in the middle: the same command again gives what one go gives."""

import os
import pathlib
import signal
import subprocess
import sys

import numpy as np
import pytest

from gluonface.data import RecordWriter, VerificationPack, images

# What the child does before it runs the command: after so many calls of a function of ours it
# kills itself, as `kill -9` would. Notes of where the work is are taken at every step.
CHILD = """
import os, signal, sys
from gluonface.cli import main
from gluonface.data.recordio import writer
from gluonface.data.synthetic import face_set
from gluonface.data.tools import align, resumable_writer, unpack
resumable_writer.SAVE_EVERY = face_set.SAVE_EVERY = 0.0
module, name, calls = sys.argv[1].rsplit(".", 1)[0], sys.argv[1].rsplit(".", 1)[1], int(sys.argv[2])
place = globals()[module.split(".")[0]]
for part in module.split(".")[1:]:
    place = getattr(place, part)
whole, count = getattr(place, name), [0]
def counted(*args, **kwargs):
    count[0] += 1
    if count[0] == calls:
        os.kill(os.getpid(), signal.SIGKILL)
    return whole(*args, **kwargs)
setattr(place, name, counted)
status = main(sys.argv[3:])
print("calls", count[0])
sys.exit(status)
"""
COMMANDS = {
    "pack": ("writer.RecordWriter.add", ["pack", "people", "OUT", "--size", "24"]),
    "subset": ("writer.RecordWriter.add", ["subset", "set", "OUT", "--min-images", "2"]),
    "merge": ("writer.RecordWriter.add", ["merge", "set", "set", "--out", "OUT"]),
    "shuffle": ("writer.RecordWriter.add", ["shuffle", "set", "OUT", "--by", "identity"]),
    "clean": (
        "writer.RecordWriter.add",
        ["clean", "set", "--centers", "means", "--embeddings", "e.npy", "--out", "OUT"],
    ),
    "unpack": ("unpack._write", ["unpack", "set", "OUT"]),
    "unpack a pack": ("unpack._write", ["unpack", "x.bin", "OUT"]),
    "align": (
        "align._CropFiles.write",
        ["align", "people", "OUT", "--landmarks", "points.txt", "--workers", "1"],
    ),
    "synthesize": (
        "face_set._encode",
        ["synthesize", "--out", "OUT", "--identities", "4", "--images", "2", "--workers", "1"],
    ),
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    root = tmp_path_factory.mktemp("killed")
    random = np.random.default_rng(0)
    lines = []
    with RecordWriter(root / "set") as writer:
        for person in range(5):
            (root / "people" / f"p{person}").mkdir(parents=True)
            for number in range(4):
                image = images.encode(random.integers(0, 256, (24, 24, 3), np.uint8), 101)
                writer.add(image, person)
                name = f"p{person}/{number}.png"
                (root / "people" / name).write_bytes(image)
                lines.append(f"{name} 5 5 15 5 10 10 6 15 14 15\n")
    (root / "points.txt").write_text("".join(lines))
    np.save(root / "e.npy", np.repeat(np.eye(5, 8, dtype=np.float32), 4, axis=0))
    data = [(root / "people" / f"p{n % 5}/{n % 4}.png").read_bytes() for n in range(20)]
    VerificationPack(data, [True, False] * 5).save(root / "x.bin")
    return root


def run(place, target, calls, words):
    return subprocess.run(
        [sys.executable, "-c", CHILD, target, str(calls), "data", *words],
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(pathlib.Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def files(folder):
    """Return the bytes of all files but the report of work of the moment."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in (".align.jsonl", "synthetic.json")
    }


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_the_same_command_again(place, command):
    target, words = COMMANDS[command]
    if command == "synthesize":
        words = [*words, "--test-identities", "20", "--pairs", "20"]
    whole = [word.replace("OUT", f"whole {command}") for word in words]
    done = run(place, target, 10**9, whole)
    assert done.returncode == 0, done.stderr
    calls = int(done.stdout.rsplit("calls", 1)[1])
    out = [word.replace("OUT", f"out {command}") for word in words]
    half = calls // 2 if command != "synthesize" else 3
    killed = run(place, target, half, out)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    there = place / f"out {command}"
    assert not (there / "train.idx").exists()
    done = run(place, target, 10**9, out)
    assert done.returncode == 0, done.stderr
    again = int(done.stdout.rsplit("calls", 1)[1])
    if command not in ("unpack", "unpack a pack"):  # which look whether a file is there
        assert again <= calls - half + 2, (calls, half, again)
    assert files(there) == files(place / f"whole {command}")
    assert not [path for path in place.iterdir() if path.name.startswith(".")]
