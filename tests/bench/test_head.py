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
