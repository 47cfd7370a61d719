"""Which engine runs a network, and that all of them give the same embeddings."""

import importlib.util
import subprocess
import sys

import numpy as np
import pytest
from deploy_nets import make_small

from gluonface._compat import mx
from gluonface.deploy import Embedder, engine_selection, export_model
from gluonface.deploy.export import trace
from gluonface.deploy.rewriting.rewrite import rewrite
from gluonface.errors import DataError, InputError, MissingExtraError
from gluonface.model_zoo import get_model
from gluonface.weights.mxnet_params import split_params

NAMES = {"openvino": "OpenVINO", "onnxruntime": "onnxruntime", "mxnet": "MXNet"}


@pytest.fixture
def installed(monkeypatch):
    """Return a function that hides all optional packages but those named."""

    def only(*names):
        find = importlib.util.find_spec
        hidden = {"openvino", "onnxruntime", "onnx"} - set(names)
        monkeypatch.setattr(
            engine_selection.importlib.util,
            "find_spec",
            lambda name: None if name in hidden else find(name),
        )

    for name in NAMES:
        if name != "mxnet":
            pytest.importorskip(name, reason=f"needs the extra of {name}")
    return only


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    prefix = tmp_path_factory.mktemp("choice") / "small"
    return export_model(make_small(), prefix, onnx=True, card={"name": "small"})


@pytest.mark.parametrize("engine", NAMES)
def test_every_engine_gives_the_same(installed, small_prefix, images, engine):
    model = Embedder.load(small_prefix, ctx="cpu", engine=engine)
    assert model.engine.startswith(NAMES[engine])
    expected = Embedder.load(small_prefix, ctx="cpu", engine="mxnet")
    # OpenVINO left alone computes in bfloat16 where the CPU can; that differs by 1e-2.
    for count in (1, 2, 7):  # the first ones' results must not be overwritten by the next run
        np.testing.assert_allclose(
            model.embed(images[:count]), expected.embed(images[:count]), rtol=0, atol=2e-6
        )


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
    assert "OpenVINO 2025.3.0 differs from MXNet by" in caplog.text


def test_an_engine_that_fails_does_not_run(installed, exported, small_prefix, monkeypatch):
    def broken(*args, **kwargs):
        raise DataError("OpenVINO cannot load it: no such operator")

    monkeypatch.setattr(engine_selection, "OpenVinoEngine", broken)
    assert Embedder.load(small_prefix, ctx="cpu").engine.startswith("onnxruntime")
    assert Embedder.load(exported["onnx"]).engine.startswith("onnxruntime")
    with pytest.raises(DataError, match="no such operator"):
        Embedder.load(small_prefix, ctx="cpu", engine="openvino")


def test_without_openvino(installed, exported, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'gluonface\[openvino\]'"):
        Embedder.load(exported["onnx"], engine="openvino")


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_files_that_are_not_networks(installed, tmp_path, engine):
    path = tmp_path / "x.onnx"
    path.write_bytes(b"not a network")
    with pytest.raises(DataError, match=r"cannot load .*x\.onnx"):
        Embedder.load(path, engine=engine)


SIGNALLED = """
import pathlib, signal, sys
from gluonface.deploy.engines import OpenVinoEngine
engines = [OpenVinoEngine(pathlib.Path(sys.argv[1])) for _ in range(2)]
engines.pop(0)
engines.pop(0)
signal.signal(signal.SIGINT, lambda number, frame: sys.stdout.write("heard"))
signal.raise_signal(signal.SIGINT)
"""


def test_signals_are_heard_after_engines_are_gone(installed, exported):
    # With a core of OpenVINO's for each engine, this process ends with a segmentation fault.
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", SIGNALLED, exported["onnx"]],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "heard"), done.stderr


def test_gpus_run_mxnet(small_prefix):
    if mx.context.num_gpus():
        assert Embedder.load(small_prefix).engine.startswith("MXNet")
    with pytest.raises(InputError, match="on a CPU; use ctx='cpu'"):
        engine_selection.engine_for(None, None, mx.gpu(), (112, 112), "x", engine="openvino")
