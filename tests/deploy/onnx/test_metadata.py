"""What exported ONNX files say of themselves, and what is read of others."""

import json

import numpy as np
import pytest

from gluonface.deploy import Embedder, export_model, export_onnx
from gluonface.deploy.onnx.metadata import preprocessing_of
from gluonface.files import sha256

onnx = pytest.importorskip("onnx", reason="needs the extra gluonface[onnx]")
pytest.importorskip("onnxruntime", reason="needs the extra gluonface[onnx]")


def props(path):
    return {entry.key: entry.value for entry in onnx.load(str(path)).metadata_props}


def test_every_exported_file_says_what_it_is(small_net, tmp_path, images):
    card = {"licence": "MIT", "color": "BGR", "name": "small"}
    prefix = tmp_path / "m"
    files = export_model(small_net, prefix, onnx=True, card=card, calibrate=images)
    size = json.loads(files["card"].read_text())["embedding_size"]
    for role in ("onnx", "int8"):
        told = props(files[role])
        assert told["embedding_size"] == str(size)
        assert (told["name"], told["licence"], told["color"]) == ("small", "MIT", "BGR")
        assert told["sha256_params"] == sha256(files["params"])
        assert (told["preprocessing"], told["input_size"]) == ("inside", "112,112")
        mean, std = (np.array(told[key].split(","), float) for key in ("mean", "std"))
        np.testing.assert_allclose(mean, [127.5] * 3)
        np.testing.assert_allclose(std, [128.0] * 3)
    again = export_onnx(prefix, tmp_path / "again.onnx")
    assert props(again)["color"] == "BGR"
    # Alone, without its card, the file is fed as before.
    alone = tmp_path / "alone.onnx"
    alone.write_bytes(files["onnx"].read_bytes())
    model, moved = Embedder.load(files["onnx"], "cpu", "onnxruntime"), Embedder.load(alone, "cpu")
    assert moved.card["color"] == "BGR"
    np.testing.assert_allclose(moved.embed(images), model.embed(images), atol=1e-5)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({}, None),
        ({"preprocessing": "inside"}, "inside"),
        ({"preprocessing": "outside"}, None),
        ({"preprocessing": "outside", "mean": "1,2,3", "std": "0,1,1"}, None),
        ({"preprocessing": "outside", "mean": "1,2,nan", "std": "1,1,1"}, None),
        ({"preprocessing": "outside", "mean": "1,2", "std": "1,1"}, None),
        (
            {"preprocessing": "outside", "mean": "1, 2, 3", "std": "2,4,8"},
            {"mean": [1.0, 2.0, 3.0], "scale": [0.5, 0.25, 0.125]},
        ),
    ],
)
def test_what_others_say(told, expected):
    model = onnx.ModelProto()
    onnx.helper.set_model_props(model, told)
    assert preprocessing_of(model) == expected


def test_pixels_as_the_metadata_says(tmp_path, images):
    from onnx_nets import network, reference, save

    model = network()
    told = {"preprocessing": "outside", "mean": "100,110,120", "std": "50,60,70", "color": "RGB"}
    onnx.helper.set_model_props(model, told)
    found = Embedder.load(save(model, tmp_path / "m.onnx"), "cpu", "onnxruntime")
    pixels = (images.astype("f4") - np.float32([100, 110, 120])) / np.float32([50, 60, 70])
    want = reference(model, np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)))
    np.testing.assert_allclose(found.embed_views(images)[0], want, rtol=1e-4, atol=1e-4)
