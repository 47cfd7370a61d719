import json

import numpy as np
import pytest

from gluonface import get_model
from gluonface.cli import main
from gluonface.deploy import Embedder

IMAGES = np.random.RandomState(0).randint(0, 256, (2, 112, 112, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "w.params"
    get_model("mobilefacenet").save_parameters(str(path))
    return path


def test_weights_to_prefix_to_prefix(weights, tmp_path, capsys):
    words = ["--licence", "MIT", "--training-data", "none", "--name", "mine"]
    source = f"mobilefacenet:{weights}"
    assert main(["export", "--model", source, "--out", str(tmp_path / "new/a"), *words]) == 0
    out = capsys.readouterr().out
    for name in ("a-symbol.json", "a-0000.params", "a.json"):
        file = tmp_path / "new" / name
        assert f"{file.stat().st_size:,} bytes  {file}" in out
    card = json.loads((tmp_path / "new/a.json").read_text())
    assert (card["name"], card["licence"], card["training_data"]) == ("mine", "MIT", "none")
    assert card["source"] == source

    # Exported again, the model is the same and its card is kept.
    again = ["export", "--model", str(tmp_path / "new/a"), "--out", str(tmp_path / "b")]
    assert main(again) == 0
    kept = json.loads((tmp_path / "b.json").read_text())
    assert {k: kept[k] for k in ("name", "licence", "params")} == {
        k: card[k] for k in ("name", "licence", "params")
    }
    assert kept["sha256"]["params"] == card["sha256"]["params"]
    np.testing.assert_array_equal(
        Embedder.load(tmp_path / "b").embed(IMAGES), Embedder.load(source).embed(IMAGES)
    )


def test_onnx(weights, tmp_path, capsys):
    pytest.importorskip("onnxruntime", reason="needs the extra: pip install gluonface[onnx]")
    source = f"mobilefacenet:{weights}"
    assert main(["export", "--model", source, "--out", str(tmp_path / "a"), "--onnx"]) == 0
    assert f"{tmp_path / 'a.onnx'}" in capsys.readouterr().out
    again = ["export", "--model", str(tmp_path / "a.onnx"), "--out", str(tmp_path / "b")]
    assert main(again) == 2
    assert "is an ONNX file already" in capsys.readouterr().err


def test_wrong_use(tmp_path, capsys):
    assert main(["export", "--model", str(tmp_path / "x"), "--out", str(tmp_path / "y")]) == 2
    assert "no model at" in capsys.readouterr().err
    assert main(["export", "--model", "mobilefacenet:untrained", "--out", str(tmp_path)]) == 2
    assert "is a folder; give a prefix in it" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
