import json

import pytest

from gluonface.bench import head
from gluonface.cli import main


def test_every_loss_against_no_margin():
    """What it measures, not how fast: times are not for tests."""
    rows = head.measure(
        ["arcface", "curricularface"], batch_size=4, embedding_size=8, classes=20, repeats=2
    )
    assert [row["loss"] for row in rows] == ["arcface", "curricularface"]
    assert [row["family"] for row in rows] == ["target-only", "hard-negative"]
    for row in rows:
        assert row["ms_median"] >= row["ms"] > 0
        assert row["ratio"] == pytest.approx(row["ms"] / row["baseline_ms"])


def test_command(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    seen = []

    def measure(losses, *args):
        seen.append((losses, args))
        values = {"ms": 11.0, "ms_median": 12.0, "baseline_ms": 10.0, "ratio": 1.1}
        return [{"loss": name, "family": "target-only", **values} for name in losses]

    monkeypatch.setattr(head, "measure", measure)
    path = tmp_path / "a.json"
    options = ["--classes", "100", "--batch-size", "8", "--embedding-size", "16"]
    assert main(["bench", "head", "--loss", "ArcFace", *options, "--json", str(path)]) == 0
    assert seen == [(["arcface"], (8, 16, 100, 5))]
    out = capsys.readouterr().out
    assert "batch 8, D=16, C=100, OMP_NUM_THREADS=1" in out
    assert "1.10" in out
    written = json.loads(path.read_text())
    assert written["losses"][0]["ratio"] == 1.1
    assert written["threads"] == 1


def test_wrong_use(capsys):
    for option, message in (("--batch-size", "batch size"), ("--classes", "number of classes")):
        assert main(["bench", "head", "--loss", "arcface", option, "0"]) == 2
        assert message in capsys.readouterr().err
    assert main(["bench", "head", "--loss", "arcfase"]) == 2
    assert "arcface" in capsys.readouterr().err
    assert main(["bench", "head", "--threads", "0"]) == 2


def test_whole_steps(capsys, tmp_path):
    """What is reported, not how fast."""
    path = tmp_path / "a.json"
    options = ["--classes", "500", "--batch-size", "4", "--embedding-size", "8", "--steps", "2"]
    command = ["bench", "head", *options, "--sample-rate", "0.2", "--json", str(path)]
    assert main(command) == 0
    out = capsys.readouterr().out
    assert "cosface, C=500, D=8, batch 4 per rank, 1 rank, sample rate 0.2" in out
    (found,) = json.loads(path.read_text())["steps"]
    assert 50 < found["sampled"] < 160
    assert found["time_ratio"] > 1
    assert found["cpu_ratio"] > 1
    assert found["floor"] == 2 * 500 * 32 + 2 * 100 * 32
    assert found["sent"] is None
    assert main([*command[:-2], "--optimizer", "adamw", "--sample-rate", "1"]) == 0


def test_plan(capsys, tmp_path):
    path = tmp_path / "a.json"
    plan = ["1000000", "512", "128", "2", "0.1"]
    assert main(["bench", "head", "--plan", *plan, "--json", str(path)]) == 0
    out = capsys.readouterr().out
    assert "a rank has 500000 classes, of which 50000 take part" in out
    plan_of_a_rank = json.loads(path.read_text())
    assert plan_of_a_rank["weight"] == 500000 * 2048
    # The process is as large as it is on this machine, this one with its tests and MXNet.
    assert "Python, MXNet, here" in out
    assert plan_of_a_rank["process"] > 100 << 20
    assert plan_of_a_rank["memory"] > plan_of_a_rank["process"] + 2 * 500000 * 2048
    assert main(["bench", "head", "--plan", *plan, "--loss", "lvface", "--json", str(path)]) == 0
    assert "embedding banks, in memory" in capsys.readouterr().out
    more = json.loads(path.read_text())
    assert more["banks"] == 500000 * 2048
    assert more["memory"] > plan_of_a_rank["memory"] + more["banks"]
    words = ["--loss", "lvface", "--uss", "float16", "--json", str(path)]
    assert main(["bench", "head", "--plan", *plan, *words]) == 0
    assert json.loads(path.read_text())["banks"] == 500000 * (2048 + 1024)
    assert main(["bench", "head", "--plan", *plan, "--uss", "int8"]) == 2
    assert "invalid choice: 'int8'" in capsys.readouterr().err
    assert main(["bench", "head", "--plan", "many", *plan[1:]]) == 2
    assert "four whole numbers and a rate" in capsys.readouterr().err
