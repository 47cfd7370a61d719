import json

from gluonface.cli import main
from gluonface.model_zoo import BACKBONES


def test_table_is_the_registry(capsys):
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == BACKBONES.list()
    row = next(line for line in lines if line.startswith("mobilefacenet "))
    assert "1,003,136" in row
    assert "221.0 M" in row


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


def test_unknown(capsys):
    assert main(["models", "mobilefacenett"]) == 2
    assert "Did you mean 'mobilefacenet'" in capsys.readouterr().err
    assert main(["models", "zzz*"]) == 2
    assert "no backbone matches 'zzz*'" in capsys.readouterr().err
