"""Damaged files, in the slow tier 1,000 a reader: none crashes, hangs, or passes silently."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

GROUPS = (
    ["records", "plain", "pack", "property", "index"],
    ["records without checksums", "plain without checksums", "packs of others", "journal"],
    ["notes", "photographs", "jpeg", "png", "webp", "bmp", "embeddings", "centers", "weights"],
    ["im2rec list", "insightface list", "list", "landmarks", "json landmarks"],
    ["identities", "map"],
)


@pytest.mark.parametrize("rounds", [100, pytest.param(1000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("readers", GROUPS, ids=lambda readers: readers[0])
def test_damaged_files(tmp_path, readers, rounds):
    # In a process of its own: a crash of the interpreter would take the other tests with it.
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "fuzz.py", tmp_path / "x", str(rounds), *readers],
        cwd=pathlib.Path(__file__).parent,
        env={**os.environ, "PYTHONPATH": str(pathlib.Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=400,  # it takes 3 to 10 s; other work on the machine may hold it up
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    results = json.loads(done.stdout)
    assert list(results) == readers
    for reader, (outcomes, wrong) in results.items():
        assert wrong == [], reader
        assert sum(outcomes.values()) == rounds
        assert outcomes["refused"] > 0.14 * rounds, reader  # the damage does damage


def test_every_reader_is_in_a_group():
    code = "import json, fuzz; print(json.dumps(list(fuzz.READERS)))"
    environment = {**os.environ, "PYTHONPATH": str(pathlib.Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=pathlib.Path(__file__).parent,
        env=environment,
        capture_output=True,
        check=True,
    )
    assert sorted(json.loads(done.stdout)) == sorted(reader for group in GROUPS for reader in group)
