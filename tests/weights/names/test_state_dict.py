"""What is written for PyTorch has the names and shapes of the public classes."""

import gzip
import json

import numpy as np
import pytest
from zoo_samples import first_of_family

from gluonface.errors import InputError
from gluonface.model_zoo import BACKBONES, get_model, list_models
from gluonface.weights.names import modules_of
from gluonface.weights.names.state_dict import PUBLIC, state_dict


@pytest.fixture(scope="module")
def public(shared):
    path = shared / "reference/weights2/names/state_dict_names.json.gz"
    if not path.is_file():
        pytest.skip(f"needs {path}")
    with gzip.open(path) as file:
        return json.load(file)


def key_of(name):
    """Return what the table calls the public class of one of ours."""
    toolkit, _, call = PUBLIC[name].partition(": ")
    kind = call.rpartition("'")[0].rpartition("'")[2] if "'" in call else call.partition("(")[0]
    if "attention=" in call:
        kind = f"MobileFaceNet_{kind}"
    if toolkit in ("arcface_torch", "timm_face"):
        kind = call.split("'")[1]
    return f"{toolkit.lower()}/{kind}"


class Value:
    """Stands for a parameter's array: drawing real ones takes minutes."""

    def __init__(self, shape):
        self.shape = shape

    def asnumpy(self):
        return np.broadcast_to(np.float32(0.5), self.shape)


@pytest.mark.parametrize("name", first_of_family(PUBLIC))
def test_names_and_shapes_are_those_of_the_public_class(public, name, monkeypatch):
    from gluonface._compat import mx

    cfg, build = BACKBONES.get(name)
    net = build(cfg.resized(512), prelu="plain")
    monkeypatch.setattr(mx.gluon.Parameter, "data", lambda self: Value(self.shape))
    found = state_dict(net, modules_of(net, "x"))
    want = {name: tuple(shape) for name, shape in public[key_of(name)]["tensors"].items()}
    assert {name: array.shape for name, array in found.items()} == want
    whole = {name for name in want if name.endswith("num_batches_tracked")}
    assert {name for name, array in found.items() if array.dtype == np.int64} == whole


def test_what_no_public_class_loads_is_refused(monkeypatch):
    for name in set(list_models()) - set(PUBLIC):
        cfg, build = BACKBONES.get(name)
        if cfg.params > 3e6 or not build.__module__.startswith("gluonface."):
            continue
        with pytest.raises(InputError, match=rf"{name} has no public PyTorch class.*nearest"):
            state_dict(build(cfg, prelu="plain"), {})
    cfg, build = BACKBONES.get("adaface_ir_18")
    with pytest.raises(InputError, match="gives 512 numbers, this model 64"):
        state_dict(build(cfg.resized(64), prelu="plain"), {})
    net = get_model("mobilefacenet", mean=100)
    with pytest.raises(InputError, match="subtracts 100 from the pixels"):
        state_dict(net, modules_of(net, "x"))
