import json

import pytest

from gluonface.cli import main
from gluonface.loss import LOSSES
from gluonface.loss.auxiliary import AUXILIARY


def test_table_has_a_row_per_loss(capsys):
    assert main(["losses"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == [*LOSSES.list(), *AUXILIARY.list()]
    arcface = next(line for line in lines if line.startswith("arcface"))
    assert "margin=0.5 rad" in arcface
    assert "arXiv 1801.07698" in arcface


def test_one_loss_comes_with_the_meaning_and_range_of_its_parameters(capsys):
    assert main(["losses", "Combined"]) == 0
    out = capsys.readouterr().out
    assert "m2 = 0.3, radians" in out
    assert "at least 0" in out
    assert "arcface" not in out


def test_an_alias_and_a_name_that_two_losses_have(capsys):
    assert main(["losses", "Centre"]) == 0
    assert "alpha = 0.5" in capsys.readouterr().out
    assert main(["losses", "coco"]) == 0
    assert "auxiliary" in capsys.readouterr().out


def test_json(capsys, tmp_path):
    assert main(["losses", "*face", "--json", str(tmp_path / "l.json")]) == 0
    rows = json.loads((tmp_path / "l.json").read_text())
    assert [row["name"] for row in rows] == LOSSES.list("*face")
    arcface = next(row for row in rows if row["name"] == "arcface")
    assert arcface["parameters"][0]["default"] == 0.5
    capsys.readouterr()
    assert main(["losses", "cosface", "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out) == [row for row in rows if row["name"] == "cosface"]


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("arcfase", "Did you mean 'arcface'"),
        ("tripplet", "Did you mean 'triplet'"),
        ("x*", "no loss matches 'x*'"),
    ],
)
def test_nothing_found(pattern, words, capsys):
    assert main(["losses", pattern]) == 2
    assert words in capsys.readouterr().err
