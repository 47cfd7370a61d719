import json
import resource
import tempfile

import numpy as np
import pytest
from deploy_nets import make_small

from gluonface.cli import main
from gluonface.deploy import Embedder, export_model, export_source
from gluonface.errors import GluonfaceError, InputError

pytest.importorskip("onnxruntime", reason="needs the extra: pip install gluonface[onnx]")


def test_near_the_float_network(tmp_path, images):
    files = export_model(make_small(), tmp_path / "m", calibrate=images)
    assert files["int8"].name == "m.int8.onnx"
    card = json.loads((tmp_path / "m.json").read_text())
    assert card["int8"]["calibration"] == {"images": 7}
    assert card["int8"]["cosine_to_float"] > 0.99
    small = Embedder.load(files["int8"])
    assert small.card["int8"] == card["int8"]  # the card is that of the float network
    cosine = (small.embed(images) * Embedder.load(tmp_path / "m").embed(images)).sum(axis=1)
    assert 0.99 < cosine.mean() < 1 - 1e-7  # 8 bits, and not the float network again


def test_wrong_use(tmp_path, images):
    with pytest.raises(InputError, match="calibration images have the shape"):
        export_model(make_small(), tmp_path / "m", calibrate=images[:, :50])
    assert not list(tmp_path.iterdir())
    for options in (["--int8"], ["--calibrate", str(tmp_path)]):
        assert main(["export", "--model", "x", "--out", str(tmp_path / "m"), *options]) == 2


@pytest.mark.parametrize("size", [1, 3000])
def test_no_room_for_temporary_files_is_told_with_their_folder(tmp_path, images, monkeypatch, size):
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        with pytest.raises(OSError, match=f"File too large: '{temporary}"):
            export_model(make_small(), tmp_path / "m", calibrate=images)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [path.name for path in tmp_path.iterdir()] == ["tmp"]
    assert not list(temporary.iterdir())


@pytest.mark.parametrize("cosine", [0.99, 0.985, 0.899, np.nan])
def test_says_how_far_it_is_from_float(tmp_path, images, monkeypatch, caplog, cosine):
    monkeypatch.setattr("gluonface.deploy.int8._cosine", lambda *args: cosine)
    if not cosine >= 0.9:
        with pytest.raises(GluonfaceError, match="is far from the float one"):
            export_model(make_small(), tmp_path / "m", calibrate=images)
        assert not list(tmp_path.iterdir())
        return
    export_model(make_small(), tmp_path / "m", calibrate=images)
    warnings = [r.getMessage() for r in caplog.records if "8-bit" in r.getMessage()]
    assert len(warnings) == (cosine < 0.99)
    assert all("0.9850 on 7 calibration images" in text for text in warnings)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_accuracy_on_faces(shared, tmp_path, engine):
    """The real model on real pairs: one of 400 pairs may change sides."""
    from gluonface.data import VerificationPack
    from gluonface.evaluation.protocols.verification import evaluate_pack

    pytest.importorskip(engine, reason="needs the extra: pip install gluonface[openvino]")
    data = shared / "data"
    files = export_source(
        data / "insightface-mobilefacenet/model", tmp_path / "m", calibrate=data / "att/train.rec"
    )
    assert json.loads(files["card"].read_text())["int8"]["cosine_to_float"] >= 0.99
    pack = VerificationPack.load(data / "att/att_test.bin")
    small, whole = (
        evaluate_pack(Embedder.load(tmp_path / "m", "cpu", engine, precision), pack, ("none",))
        for precision in ("int8", "float32")
    )
    assert abs(small["none"].accuracy - whole["none"].accuracy) <= 0.0025
