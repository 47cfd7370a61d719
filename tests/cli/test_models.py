import csv
import json

import pytest

from gluonface.cli import main
from gluonface.model_zoo import BACKBONES, _table
from gluonface.model_zoo._table import MEASURED


def test_table_is_the_registry(capsys):
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.partition("\n\n")[0].splitlines()
    assert [line.split()[0] for line in lines[1:]] == BACKBONES.list()
    row = next(line for line in lines if line.startswith("mobilefacenet "))
    assert "1,003,136" in row
    assert " 221.0 " in row


def test_pattern_alias_and_json(capsys, tmp_path):
    assert main(["models", "*FaceNet", "--json", "-"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert "mobilefacenet" in [row["name"] for row in rows]
    path = tmp_path / "a.json"
    assert main(["models", "MobileFaceNet_y1", "--json", str(path)]) == 0
    (row,) = json.loads(path.read_text())
    assert (row["name"], row["params"], row["input_size"]) == (
        "mobilefacenet",
        1_003_136,
        [112, 112],
    )


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("IR_SE_100", "ir_se_100"),
        ("r100", "iresnet100"),
        ("mobilefacenet_y1", "mobilefacenet"),
        ("MobileFaceNet-SE", "mobilefacenet_se"),
        ("GhostNet_x1.3", "ghostnet_x1.3"),
    ],
)
def test_names_that_users_know(capsys, alias, name):
    assert main(["models", alias, "--json", "-"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["name"] == name


def test_the_figures_beside_the_registry(capsys):
    assert main(["models", "mbf", "--json", "-"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert {"data": "MS1MV3", "loss": "", "ijbc": "94.23"}.items() <= row["published"][0].items()
    assert all(r["source"].startswith("https://github.com/") for r in row["published"])
    for column in MEASURED:
        assert row[column] is None or row[column] > 0
    with open(_table.FOLDER / "published.csv", encoding="utf-8", newline="") as file:
        assert {r["name"] for r in csv.DictReader(file)} <= set(BACKBONES.list())
    assert main(["models", "mbf"]) == 0
    assert "94.23" in capsys.readouterr().out


def test_measured_figures_are_read(capsys, monkeypatch, tmp_path):
    path = tmp_path / "speed.csv"
    path.write_text(f"name,{','.join(MEASURED)}\nmbf,8.3,61.2,1234.5\n")
    monkeypatch.setattr(_table, "SPEED", path)
    assert main(["models", "mb?"]) == 0
    line = capsys.readouterr().out.splitlines()[1]
    assert line.split()[4:8] == ["8.3", "61.2", "1,234", "94.23"]


def test_counts(capsys):
    assert main(["models", "mobilefacenet_se", "--count"]) == 0
    out = capsys.readouterr().out
    assert "451,542,536" in out
    assert "ptflops: as arcface_torch counts" in out


def test_unknown(capsys):
    assert main(["models", "mobilefacenett"]) == 2
    assert "Did you mean 'mobilefacenet'" in capsys.readouterr().err
    assert main(["models", "zzz*"]) == 2
    assert "no model matches 'zzz*'" in capsys.readouterr().err
