"""Networks and images for the tests of this folder."""

import importlib.util

import pytest
from deploy_nets import make_small, randomize

from gluonface.deploy import engine_selection, export_model


@pytest.fixture
def small_net():
    return make_small()


@pytest.fixture(scope="session")
def mobilefacenet():
    from gluonface import get_model

    return randomize(get_model("mobilefacenet"))


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

    for name in ("openvino", "onnxruntime"):
        pytest.importorskip(name, reason=f"needs the extra of {name}")
    return only


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    prefix = tmp_path_factory.mktemp("engines") / "small"
    return export_model(make_small(), prefix, onnx=True, card={"name": "small"})
