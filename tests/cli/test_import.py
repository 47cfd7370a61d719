import json
import shutil

import numpy as np
import pytest

from gluonface._compat import mx
from gluonface.cli import import_, main
from gluonface.deploy import Embedder, export_model
from gluonface.files import sha256
from gluonface.model_zoo import get_model
from gluonface.weights import load_weights
from gluonface.weights.load import load_net
from gluonface.weights.mxnet_params import params_bytes, read_params


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """Return the prefix of an export of ours, as a checkpoint with another embedding size."""
    folder = tmp_path_factory.mktemp("own")
    net = get_model("mobilefacenet", embedding_size=24, prelu="plain")
    net.hybridize()
    net(mx.nd.zeros((1, 3, 112, 112)))
    net.export(str(folder / "model"))
    return folder / "model"


def test_import_writes_weights_and_card(own, tmp_path, capsys):
    out = tmp_path / "m.params"
    command = ["import", "--from", str(own), "--model", "MobileFaceNet", "--out", str(out)]
    assert main([*command, "--licence", "MIT", "--training-data", "none"]) == 0
    printed = capsys.readouterr().out
    assert "embedding 24" in printed
    assert "embeddings equal" in printed
    net = get_model("mobilefacenet", embedding_size=24)
    net.load_parameters(str(out))
    card = json.loads(out.with_suffix(".json").read_text())
    assert card["name"] == "mobilefacenet"
    assert card["embedding_size"] == 24
    assert card["licence"] == "MIT"
    assert card["training_data"] == "none"
    assert card["sha256"]["params"] == sha256(out)
    params = own.with_name("model-0000.params")
    assert card["imported_from"]["sha256"][params.name] == sha256(params)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.json", "m.params"]

    # What the card beside our own file says goes on.
    again = tmp_path / "again.params"
    assert main([*command[:2], str(out), *command[3:-1], str(again)]) == 0
    assert "licence" not in capsys.readouterr().out
    assert again.read_bytes() == out.read_bytes()
    second = json.loads(again.with_suffix(".json").read_text())
    assert second["licence"] == "MIT"
    assert second["imported_from"]["sha256"] == {"m.params": sha256(out)}
    assert second["imported_from"]["before"] == card["imported_from"]

    # A checkpoint whose names do not say what is auxiliary, by its epoch.
    bare = {name.split(":")[1]: array for name, array in read_params(params).items()}
    (tmp_path / "bare-0007.params").write_bytes(params_bytes(bare))
    (tmp_path / "bare-symbol.json").write_bytes(own.with_name("model-symbol.json").read_bytes())
    assert main([*command[:2], f"{tmp_path / 'bare'},7", *command[3:-1], str(again)]) == 0
    assert "embeddings equal" in capsys.readouterr().out
    assert again.read_bytes() == out.read_bytes()

    out.with_suffix(".json").unlink()
    assert main([*command[:2], str(out), *command[3:-1], str(again)]) == 0
    assert "licence is not recorded" in capsys.readouterr().out
    assert json.loads(again.with_suffix(".json").read_text())["licence"] is None


def test_preprocessing_goes_with_the_weights(tmp_path, capsys):
    """An ONNX file of ours with another scale; the card tells whoever names NAME:FILE.params."""
    pytest.importorskip("onnxruntime", reason="needs the extra gluonface[onnx]")
    net = get_model("mobilefacenet", embedding_size=24, mean=100, scale=0.01)
    files = export_model(net, tmp_path / "theirs", onnx=True)
    out = tmp_path / "m.params"
    command = ["import", "--from", str(files["onnx"]), "--model", "mobilefacenet", "--licence", "X"]
    assert main([*command, "--out", str(out)]) == 0
    assert "embeddings equal" in capsys.readouterr().out
    card = json.loads(out.with_suffix(".json").read_text())
    np.testing.assert_allclose([card["mean"], card["scale"]], [100, 0.01], rtol=1e-6)
    assert card["imported_from"]["format"] == "ONNX"
    assert card["licence"] == "X"
    faces = np.random.default_rng(0).integers(0, 256, (2, 112, 112, 3)).astype("uint8")
    want = Embedder.load(tmp_path / "theirs").embed(faces)
    for source in (out, files["onnx"]):
        got = Embedder.load(f"mobilefacenet:{source}").embed(faces)
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-5)  # of unit length

    other = get_model("mobilefacenet", embedding_size=24)
    with pytest.MonkeyPatch.context() as patch:
        warnings = []
        patch.setattr("gluonface.weights.load.logger.warning", lambda *a: warnings.append(a))
        load_weights(other, out)
    assert "was made for" in warnings[0][0]


def test_onnx_in_half_precision(tmp_path, capsys):
    """It computes with half the digits itself, which the comparison allows for."""
    onnx = pytest.importorskip("onnx", reason="needs the extra gluonface[onnx]")
    pytest.importorskip("onnxruntime", reason="needs the extra gluonface[onnx]")
    net = get_model("mobilefacenet", embedding_size=24)
    model = onnx.load(str(export_model(net, tmp_path / "whole", onnx=True)["onnx"]))
    for tensor in model.graph.initializer:
        array = onnx.numpy_helper.to_array(tensor)
        if array.dtype == np.float32:
            tensor.CopyFrom(onnx.numpy_helper.from_array(array.astype("float16"), tensor.name))
    for info in (*model.graph.input, *model.graph.output):
        info.type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    del model.graph.value_info[:]
    onnx.save(model, str(tmp_path / "half.onnx"))
    command = ["import", "--from", str(tmp_path / "half.onnx"), "--model", "mobilefacenet"]
    assert main([*command, "--out", str(tmp_path / "m.params")]) == 0
    printed = capsys.readouterr().out
    found = float(printed.split("own graph to ")[1].split()[0])
    assert 1e-5 < found < import_.HALF


@pytest.mark.parametrize(
    ("file", "kind", "said"),
    [
        ("arcface_torch_mbf.onnx", "ONNX", "embeddings equal"),
        ("arcface_torch_mbf.pth", "PyTorch state dict", "not compared: the file holds no graph"),
    ],
)
def test_cards_of_other_formats(shared, tmp_path, capsys, file, kind, said):
    if kind == "ONNX":
        pytest.importorskip("onnxruntime", reason="needs the extra gluonface[onnx]")
    source, out = shared / "reference/weights" / file, tmp_path / "m.params"
    command = ["import", "--from", str(source), "--model", "MBF", "--out", str(out)]
    assert main([*command, "--licence", "random numbers"]) == 0
    assert said in capsys.readouterr().out
    card = json.loads(out.with_suffix(".json").read_text())
    origin = {"source": str(source), "format": kind, "sha256": {file: sha256(source)}}
    assert card["imported_from"] == origin
    assert card["licence"] == "random numbers"


def test_nothing_is_written_after_an_error(own, tmp_path, capsys, monkeypatch):
    def command(source=own, model="mobilefacenet", out=tmp_path / "m.params"):
        return ["import", "--from", str(source), "--model", model, "--out", str(out)]

    garbage = tmp_path / "in" / "garbage.params"
    garbage.parent.mkdir()
    garbage.write_bytes(b"\x12\x01\0\0\0\0\0\0garbage")
    pointer = garbage.with_name("pointer.onnx")
    pointer.write_text("version https://git-lfs.github.com/spec/v1\n")
    other = garbage.with_name("other.params")
    other.write_bytes(params_bytes({"x": np.ones(24, "float32")}))
    for arguments, status, message in (
        (command(source="none/at/all"), 2, "no model at none/at/all"),
        (command(model="mobilefacenett"), 2, "Did you mean 'mobilefacenet'"),
        (command(out=tmp_path / "m.bin"), 2, "ends in .params"),
        (command(out=tmp_path / "none" / "m.params"), 2, "no folder"),
        (command(source=""), 2, "no model is named"),
        (
            command(source=garbage.parent),
            2,
            "(there is garbage.params, other.params, pointer.onnx)",
        ),
        (command(out=tmp_path), 2, "ends in .params"),
        (command(source=pointer), 1, "pointer of Git LFS"),
        (command(source=garbage), 1, "garbage.params"),
        (command(source=other), 1, "not in the model: x"),
    ):
        assert main(arguments) == status
        error = capsys.readouterr().err
        assert message in error
        assert "Traceback" not in error
    # A mapping that went wrong unseen is caught by computing with both.
    monkeypatch.setattr(import_, "TOLERANCE", -1)
    assert main(command()) == 1
    assert "nothing was written" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["in"]


def test_insightface_model(shared, tmp_path, capsys):
    source = tmp_path / "source"
    shutil.copytree(shared / "data/insightface-mobilefacenet", source)
    out = tmp_path / "m.params"
    assert (
        main(["import", "--from", str(source), "--model", "mobilefacenet", "--out", str(out)]) == 0
    )
    net = get_model("mobilefacenet")
    load_weights(net, out)
    want = get_model("mobilefacenet")
    load_weights(want, source)
    x = mx.nd.random.uniform(0, 255, (1, 3, 112, 112))
    np.testing.assert_array_equal(net(x).asnumpy(), want(x).asnumpy())


def test_what_took_bgr_takes_rgb_afterwards(own, tmp_path):
    folder = tmp_path / "source"
    shutil.copytree(own.parent, folder)
    command = ["import", "--model", "mobilefacenet"]
    first, again = tmp_path / "first.params", tmp_path / "again.params"
    assert main([*command, "--from", str(folder / "model"), "--out", str(first)]) == 0
    card = json.loads(first.with_suffix(".json").read_text())
    assert card["color"] == "RGB"
    first.with_suffix(".json").write_text(json.dumps({**card, "color": "BGR"}))
    assert main([*command, "--from", str(first), "--out", str(again)]) == 0
    card = json.loads(again.with_suffix(".json").read_text())
    assert (card["color"], card["source_color"]) == ("RGB", "BGR")
    x = mx.nd.random.uniform(0, 255, (1, 3, 112, 112))
    source, turned = (load_net(f"mobilefacenet:{path}") for path in (first, again))
    assert (source.cfg.color, turned.cfg.color) == ("BGR", "RGB")
    want = source(x.flip(axis=1)).asnumpy()
    largest = np.abs(want).max()
    assert np.abs(turned(x).asnumpy() - want).max() < 1e-4 * largest
    assert np.abs(source(x).asnumpy() - want).max() > 1e-2 * largest


def test_color_of_the_command_counts_more_than_a_card(own, tmp_path):
    """What it takes is said by hand; the checkpoint is fed so when it is compared."""
    out = tmp_path / "a.params"
    command = ["import", "--model", "mobilefacenet", "--from", str(own), "--out", str(out)]
    assert main([*command, "--color", "BGR"]) == 0
    card = json.loads(out.with_suffix(".json").read_text())
    assert (card["color"], card["source_color"]) == ("RGB", "BGR")


def test_a_file_that_onnxruntime_does_not_run(tmp_path, capsys, monkeypatch):
    """The import does not need it, and its exceptions are not shown."""
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra gluonface[onnx]")
    net = get_model("mobilefacenet", embedding_size=24)
    files = export_model(net, tmp_path / "m", onnx=True)

    def run(self, *args):
        raise RuntimeError("no memory")

    monkeypatch.setattr(onnxruntime.InferenceSession, "run", run)
    command = ["import", "--from", str(files["onnx"]), "--model", "mobilefacenet"]
    assert main([*command, "--out", str(tmp_path / "x.params")]) == 0
    printed = capsys.readouterr().out
    assert "embeddings were not compared: onnxruntime cannot run" in printed
    assert "no memory" in printed
