"""`eval ijb` that is killed at any moment: the same command again gives what one go gives."""

import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from deploy_nets import make_small

from gluonface.data import images
from gluonface.deploy import export_model

KILLS = 12
# Chunks of three images, so that a kill finds some of them done.
CHILD = """
import sys
from gluonface.cli import main
from gluonface.evaluation.files import embedding_cache
embedding_cache.CHUNK = 3
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A small model and the lists of 30 loose crops of 10 templates of 5 people."""
    root = tmp_path_factory.mktemp("ijb")
    export_model(make_small(), root / "small", card={"name": "small"})
    noise = np.random.default_rng(0)
    (root / "crops").mkdir()
    media, points = [], []
    for number in range(30):
        name, template = f"{number}.png", number // 3
        image = noise.integers(0, 256, (120, 120, 3), np.uint8)
        (root / "crops" / name).write_bytes(images.encode(image, 101))
        media.append(f"{name} {template} {number}\n")
        points.append(f"{name} 40 50 80 50 60 70 45 90 75 90 0.9\n")
    pairs = [f"{a} {b} {int(a // 2 == b // 2)}\n" for a in range(10) for b in range(a)]
    (root / "meta").mkdir()
    for name, lines in (
        ("face_tid_mid.txt", media),
        ("name_5pts_score.txt", points),
        ("template_pair_label.txt", pairs),
    ):
        (root / "meta" / f"ijbc_{name}").write_text("".join(lines))
    return root


def start(place, out, cache):
    words = ["eval", "ijb", "--meta", "meta", "--task", "1:1", "--model", "small", "--images",
             "crops", "--cache", cache, "--json", f"{out}/r.json",
             "--report", f"{out}/report"]  # fmt: skip
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, *words],
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(pathlib.Path(__file__).parents[2])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def result(folder):
    found = json.loads((folder / "r.json").read_text())
    assert (folder / "report" / "index.html").read_text().endswith("</html>")
    return found["results"]


@pytest.mark.slow
def test_killed_at_any_moment(place):
    begin = time.monotonic()
    whole = start(place, "whole", "cache-whole")
    _, err = whole.communicate()
    seconds = time.monotonic() - begin
    assert whole.returncode == 0, err
    moments = random.Random(0)
    killed = 0
    for number in range(KILLS):
        child = start(place, "out", "cache")
        try:
            child.wait(moments.uniform(0.3, 1.1) * seconds)
        except subprocess.TimeoutExpired:
            child.kill()
        child.communicate()
        killed += child.returncode == -signal.SIGKILL
        for path in (place / "out").rglob("*.json"):
            json.loads(path.read_text())  # whole, if it is there
        if number % 4 == 3:  # from the beginning again
            for path in (place / "cache").rglob("part-*.npz"):
                path.unlink()
    assert killed > KILLS / 3
    last = start(place, "out", "cache")
    _, err = last.communicate()
    assert last.returncode == 0, err
    assert result(place / "out") == result(place / "whole")
