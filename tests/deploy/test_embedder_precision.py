"""`Embedder.load(precision=)`: what runs, and what is refused."""

import json
import shutil

import numpy as np
import pytest
from deploy_nets import make_small

from gluonface.cli import main
from gluonface.deploy import Embedder, engine_selection, export_model
from gluonface.errors import DataError, InputError

pytest.importorskip("onnxruntime", reason="needs the extra: pip install gluonface[onnx]")


@pytest.fixture(scope="module")
def folder(tmp_path_factory, images):
    """An export with ONNX and 8 bits."""
    folder = tmp_path_factory.mktemp("precision")
    export_model(make_small(), folder / "m", onnx=True, calibrate=images)
    return folder


def needs_openvino():
    pytest.importorskip("openvino", reason="needs the extra: pip install gluonface[openvino]")


@pytest.mark.parametrize("source", ["m", "m.onnx"])
@pytest.mark.parametrize("has", [True, False])
def test_bfloat16(folder, images, monkeypatch, caplog, source, has):
    needs_openvino()
    monkeypatch.setattr(engine_selection, "cpu_has_bfloat16", lambda: has)
    whole = Embedder.load(folder / source, "cpu", "openvino")
    model = Embedder.load(folder / source, ctx="cpu", precision="bfloat16")
    assert "OpenVINO" in model.engine
    assert "bfloat16" in model.engine
    assert "bfloat16" not in whole.engine
    assert ("bfloat16' will not help" in caplog.text) is not has
    cosine = (model.embed(images) * whole.embed(images)).sum(axis=1)
    assert cosine.min() > 0.99  # 8 bits of every number; exact where the CPU has no bfloat16
    assert model.identity == whole.identity


def test_flags_of_the_cpu(monkeypatch):
    texts = {"flags : fpu avx512_bf16 x": True, "flags\t: amx_bf16": True, "flags : avx2": False}
    for text, wanted in texts.items():
        monkeypatch.setattr("pathlib.Path.read_text", lambda *args, text=text, **kwargs: text)
        assert engine_selection.cpu_has_bfloat16() is wanted

    def missing(*args, **kwargs):
        raise FileNotFoundError

    monkeypatch.setattr("pathlib.Path.read_text", missing)
    assert engine_selection.cpu_has_bfloat16() is False


def test_a_network_that_bfloat16_breaks_is_refused(folder, monkeypatch):
    needs_openvino()
    monkeypatch.setattr(engine_selection, "NEAR", 1.1)
    with pytest.raises(DataError, match=r"other embeddings in bfloat16 .*precision='float32'"):
        Embedder.load(folder / "m", ctx="cpu", precision="bfloat16")


def test_8_bits_beside_the_model(folder, images):
    want = Embedder.load(folder / "m.int8.onnx").embed(images)
    for source in ("m", "m.onnx", "m.int8.onnx"):
        model = Embedder.load(folder / source, precision="int8")
        assert set(model.identity.sha256) == {"int8"}  # not the float model's
        np.testing.assert_array_equal(model.embed(images), want)


def test_8_bits_of_other_weights_are_refused(folder, images, tmp_path):
    for file in folder.iterdir():
        shutil.copy(file, tmp_path / file.name)
    export_model(make_small(seed=5), tmp_path / "other")
    shutil.copy(tmp_path / "other-0000.params", tmp_path / "m-0000.params")
    with pytest.raises(InputError, match=r"made of other parameters.*--int8 --calibrate"):
        Embedder.load(tmp_path / "m", precision="int8")
    with pytest.raises(InputError, match=r"needs .*other\.int8\.onnx; write it with"):
        Embedder.load(tmp_path / "other", precision="int8")
    with pytest.raises(InputError, match="mobilefacenet:untrained has none"):
        Embedder.load("mobilefacenet:untrained", precision="int8")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "float16"}, "expected one of float32, bfloat16, int8"),
        ({"precision": "bfloat16", "engine": "mxnet"}, "needs engine=auto or openvino, not mxnet"),
        ({"precision": "bfloat16", "engine": "onnxruntime"}, "not onnxruntime"),
        ({"precision": "int8", "engine": "mxnet"}, "auto or openvino or onnxruntime, not mxnet"),
        ({"precision": "int8", "ctx": "gpu"}, "is for CPUs"),
    ],
)
def test_wrong_use(folder, options, message):
    with pytest.raises(InputError, match=message):
        Embedder.load(folder / "m", **options)


def test_options_of_embed(folder, images, tmp_path, capsys):
    """``--precision`` and ``--color`` reach the network."""
    from gluonface.data import images as pictures

    faces = tmp_path / "faces"
    faces.mkdir()
    stored = [pictures.encode(image) for image in images[:2]]
    for number, content in enumerate(stored):
        (faces / f"{number}.jpg").write_bytes(content)
    read = np.stack([pictures.decode(content) for content in stored])
    found = {}
    for name, options in {"as it is": [], "int8": ["--precision", "int8"]}.items():
        for color in ("RGB", "BGR"):
            out = tmp_path / "out.npz"
            command = ["embed", "--model", str(folder / "m"), "--input", str(faces)]
            command += ["--out", str(out), "--color", color, *options]
            assert main(command) == 0, capsys.readouterr().err
            found[name, color] = np.load(out)["embedding"]
    for name, precision in (("as it is", "float32"), ("int8", "int8")):
        model = Embedder.load(folder / "m", precision=precision, color="BGR")
        np.testing.assert_allclose(found[name, "BGR"], model.embed(read), atol=1e-6)
        assert abs(found[name, "BGR"] - found[name, "RGB"]).max() > 0.1
    assert abs(found["int8", "RGB"] - found["as it is", "RGB"]).max() > 1e-3
    assert json.loads((folder / "m.json").read_text())["color"] == "RGB"
