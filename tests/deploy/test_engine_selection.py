"""Which engine runs a network."""

import re

import numpy as np
import pytest

from gluonface._compat import mx
from gluonface.deploy import Embedder, engine_selection
from gluonface.deploy.export import trace
from gluonface.deploy.rewriting.rewrite import rewrite
from gluonface.errors import DataError, InputError
from gluonface.model_zoo import get_model
from gluonface.weights.mxnet_params import split_params


@pytest.mark.parametrize(
    ("packages", "expected"),
    [
        (("openvino", "onnxruntime", "onnx"), "OpenVINO"),
        (("openvino", "onnx"), "OpenVINO"),
        (("onnxruntime", "onnx"), "onnxruntime"),
        (("openvino", "onnxruntime"), "MXNet"),  # onnx brings the network to both
        ((), "MXNet"),
    ],
)
def test_the_first_installed_runs(
    installed, small_prefix, caplog, packages, expected, no_operators
):
    installed(*packages)
    caplog.set_level("INFO", logger="gluonface")
    assert Embedder.load(small_prefix, ctx="cpu").engine.startswith(expected)
    advice = "OpenVINO would be faster: pip install 'gluonface[openvino]'"
    assert (advice in caplog.text) == (expected == "MXNet")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mobilefacenet", True),
        ("mobilefacenet_se", True),
        ("mobilefacenet_cbam", False),  # small operators
        ("mbf", False),  # a grouped convolution
        ("iresnet18", False),  # nothing of ours but PReLU
    ],
)
def test_which_networks_suit_mxnet(our_operators, name, expected):
    net = get_model(name)
    symbol, arrays = trace(net)
    graph, _ = rewrite(symbol, *split_params(arrays), net.cfg.input_size)
    assert engine_selection.suits_mxnet(graph) == expected


@pytest.mark.parametrize(("suits", "expected"), [(True, "MXNet"), (False, "onnxruntime")])
def test_mxnet_or_onnxruntime(installed, small_prefix, monkeypatch, suits, expected):
    monkeypatch.setattr(engine_selection, "suits_mxnet", lambda symbol: suits)
    assert Embedder.load(small_prefix, ctx="cpu").engine.startswith("OpenVINO")
    installed("onnxruntime", "onnx")
    assert Embedder.load(small_prefix, ctx="cpu").engine.startswith(expected)


def test_onnx_files(installed, exported, images):
    path = exported["onnx"]
    auto, other = Embedder.load(path), Embedder.load(path, engine="onnxruntime")
    assert auto.engine.startswith("OpenVINO")
    assert other.engine.startswith("onnxruntime")
    np.testing.assert_allclose(auto.embed(images), other.embed(images), rtol=0, atol=2e-6)
    installed("onnxruntime", "onnx")
    assert Embedder.load(path).engine.startswith("onnxruntime")
    with pytest.raises(InputError, match="ONNX, which MXNet does not run"):
        Embedder.load(path, engine="mxnet")
    with pytest.raises(InputError, match="expected one of auto, openvino, onnxruntime, mxnet"):
        Embedder.load(path, engine="torch")
    with pytest.raises(InputError, match="'openvino' runs on a CPU"):
        Embedder.load(path, ctx="gpu", engine="openvino")


def test_an_engine_that_differs_does_not_run(installed, small_prefix, monkeypatch, caplog):
    run = engine_selection.OpenVinoEngine.run
    monkeypatch.setattr(
        engine_selection.OpenVinoEngine, "run", lambda self, images: run(self, images + 9)
    )
    assert Embedder.load(small_prefix, ctx="cpu").engine.startswith("onnxruntime")
    assert re.search(r"OpenVINO [\d.]+ differs from MXNet by", caplog.text)


def test_an_engine_that_fails_does_not_run(installed, exported, small_prefix, monkeypatch):
    def broken(*args, **kwargs):
        raise DataError("OpenVINO cannot load it: no such operator")

    monkeypatch.setattr(engine_selection, "OpenVinoEngine", broken)
    assert Embedder.load(small_prefix, ctx="cpu").engine.startswith("onnxruntime")
    assert Embedder.load(exported["onnx"]).engine.startswith("onnxruntime")
    with pytest.raises(DataError, match="no such operator"):
        Embedder.load(small_prefix, ctx="cpu", engine="openvino")


def test_gpus_run_mxnet(small_prefix):
    if mx.context.num_gpus():
        assert Embedder.load(small_prefix).engine.startswith("MXNet")
    with pytest.raises(InputError, match="on a CPU; use ctx='cpu'"):
        engine_selection.engine_for(None, None, mx.gpu(), (112, 112), "x", engine="openvino")
