"""AdaFace's and CVLface's networks: files that PyTorch wrote, and a second implementation."""

import dataclasses
import logging

import numpy as np
import pytest
from torch_states import check_embeddings, networks

from gluonface._compat import mx
from gluonface.model_zoo import BACKBONES
from gluonface.model_zoo.adaface_ir import AdaFaceIR
from gluonface.weights import load_weights, open_weights
from gluonface.weights.names.adaface import is_adaface, own_checkpoint


@pytest.mark.parametrize("name", networks("adaface"))
def test_embeddings_of_the_published_structure(state, name):
    check_embeddings(state, name)


@pytest.fixture(scope="module")
def files(shared):
    """Return the folder of small networks that PyTorch wrote and what they give."""
    folder = shared / "reference/weights2/weights"
    if not folder.is_dir():
        pytest.skip(f"needs {folder}")
    return folder, np.load(folder / "expected_torch.npz")


def narrow(units):
    """Return a network of the reference files' widths."""
    cfg = BACKBONES.get("adaface_ir_18")[0]
    cfg = dataclasses.replace(cfg, name="narrow", embedding_size=64)
    net = AdaFaceIR(cfg, units, widths=(8, 8, 16, 32, 64))
    net.initialize()
    return net


CASES = {
    "adaface_ir_narrow": ("adaface_ir_narrow.ckpt", (2, 2, 2, 2), "BGR"),
    "cvlface_ir_narrow": ("cvlface_ir_narrow.safetensors", (2, 1, 2, 1), "RGB"),
}


@pytest.mark.parametrize("key", CASES)
def test_embeddings_of_reference_files(files, key):
    """Lightning's with a head beside, without any word on colours; CVLface's with its config."""
    folder, expected = files
    name, units, color = CASES[key]
    source = open_weights(folder / name)
    assert source.color == color
    images = expected["images"]
    for flip, views in (("", images), ("__flip", images[:, :, ::-1])):
        x = mx.nd.array(views.transpose(0, 3, 1, 2).astype("f4"))
        net = narrow(units)
        load_weights(net, source)  # for RGB, whatever the source takes
        want = expected[key + flip]
        np.testing.assert_allclose(net(x).asnumpy(), want, rtol=0, atol=2e-5)
        # The other order is another result, for the loaded network and where it is asked for.
        assert np.abs(net(x.flip(axis=1)).asnumpy() - want).max() > 0.1
        other = "RGB" if color == "BGR" else "BGR"
        load_weights(net, open_weights(folder / name, color=other))
        assert np.abs(net(x).asnumpy() - want).max() > 0.1
    if f"{key}__if_fed_rgb" in expected:
        x = mx.nd.array(images.transpose(0, 3, 1, 2).astype("f4"))
        wrong = expected[f"{key}__if_fed_rgb"]
        np.testing.assert_allclose(net(x).asnumpy(), wrong, rtol=0, atol=2e-5)


def test_the_log_says_what_is_left_aside(files, caplog):
    folder, _ = files
    with caplog.at_level(logging.INFO):
        load_weights(narrow((2, 2, 2, 2)), folder / "adaface_ir_narrow.ckpt")
    assert "left aside, as not of the network: head (" in caplog.text


def test_whose_names_they_are():
    own = ["head.kernel", "model.body.0.res_layer.2.running_mean"]
    assert (is_adaface(own), own_checkpoint(own)) == (True, True)
    for prefix in ("", "net.", "model.net.", "module.model."):
        names = [f"{prefix}body.0.res_layer.2.running_mean"]
        assert (is_adaface(names), own_checkpoint(names)) == (True, False), prefix
    cavaface = ["model.body.0.res_layer.2.weight", "model.body.0.res_layer.4.running_mean"]
    assert (is_adaface(cavaface), own_checkpoint(cavaface)) == (False, False)
