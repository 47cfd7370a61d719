"""That all engines give the same embeddings, and what they refuse."""

import subprocess
import sys

import numpy as np
import pytest

from gluonface.deploy import Embedder
from gluonface.errors import DataError, MissingExtraError

NAMES = {"openvino": "OpenVINO", "onnxruntime": "onnxruntime", "mxnet": "MXNet"}


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
