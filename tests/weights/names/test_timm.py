"""EdgeFace's and timm-face's networks: files that PyTorch wrote, and low-rank layers."""

import dataclasses
import logging
import re

import numpy as np
import pytest
from torch_files import Written, stand_in, write_zip

from gluonface._compat import mx
from gluonface.errors import DataError
from gluonface.model_zoo import BACKBONES, get_model
from gluonface.model_zoo.convnext import ConvNeXt
from gluonface.model_zoo.edgeface import EdgeFace
from gluonface.model_zoo.timmface_vit import TimmFaceViT
from gluonface.weights import load_weights, open_weights
from gluonface.weights.names import modules_of
from gluonface.weights.names.state_dict import state_dict
from gluonface.weights.names.timm import multiplied


@pytest.fixture(scope="module")
def files(shared):
    """Return the folder of small networks that PyTorch wrote and what they give."""
    folder = shared / "reference/weights2/weights"
    if not folder.is_dir():
        pytest.skip(f"needs {folder}")
    return folder, np.load(folder / "expected_torch.npz")


def edgeface(rank_factor=0.6):
    return EdgeFace(cfg("edgeface_xxs"), (16, 32, 52, 96), (1, 2, 2, 2), 4, rank_factor)


def cfg(name):
    return dataclasses.replace(BACKBONES.get(name)[0], name="narrow")


# Of the reference files: their widths, and the kinds of the published networks.
CASES = {
    "edgeface_lowrank_narrow.pt": edgeface,
    "edgeface_xxs_fp16.pt": lambda: BACKBONES.get("edgeface_xxs")[1](cfg("edgeface_xxs")),
    "timmface_convnext_narrow.safetensors": lambda: ConvNeXt(
        cfg("timmface_convnext_atto"), (12, 24, 40, 72), (2, 1, 2, 1)
    ),
    "timmface_vit_narrow.safetensors": lambda: TimmFaceViT(
        cfg("timmface_vit_tiny_patch8"), 72, 3, True, depth=2
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_embeddings_of_reference_files(files, name):
    """Equal to 2e-5 as the files' page asks, mirrored too; another result in the other order."""
    folder, expected = files
    net, key = CASES[name](), name.partition(".")[0]
    net.initialize()
    source = open_weights(folder / name)
    assert source.color == "RGB"
    load_weights(net, source)
    images = expected["images"]
    for flip, views in (("", images), ("__flip", images[:, :, ::-1])):
        x = mx.nd.array(views.transpose(0, 3, 1, 2).astype("f4"))
        want = expected[key + flip]
        np.testing.assert_allclose(net(x).asnumpy(), want, rtol=0, atol=2e-5)
        assert np.abs(net(x.flip(axis=1)).asnumpy() - want).max() > 0.1
    load_weights(net, open_weights(folder / name, color="BGR"))
    np.testing.assert_allclose(net(x.flip(axis=1)).asnumpy(), want, rtol=0, atol=2e-5)


def test_low_rank_layers_are_multiplied_for_a_full_network(files):
    """Where the network has full layers. Seen: 5e-6, of float32 in another order."""
    folder, expected = files
    net = edgeface(rank_factor=None)
    net.initialize()
    load_weights(net, folder / "edgeface_lowrank_narrow.pt")
    x = mx.nd.array(expected["images"].transpose(0, 3, 1, 2).astype("f4"))
    want = expected["edgeface_lowrank_narrow"]
    np.testing.assert_allclose(net(x).asnumpy(), want, rtol=0, atol=2e-5)
    source = open_weights(folder / "edgeface_lowrank_narrow.pt")
    assert source.embedding_size_of("edgeface_xxs") == 512


def test_full_layers_do_not_go_into_a_low_rank_network(files):
    folder, _ = files
    net = get_model("edgeface_xs_gamma_06")
    with pytest.raises(DataError, match=r"missing: .*linear1\.weight"):
        load_weights(net, folder / "edgeface_xxs_fp16.pt")


def test_pairs_that_are_none_stay_as_they_are():
    first, second = np.ones((2, 3), "f4"), np.ones((4, 2), "f4")
    pair = {"x.linear1.weight": first, "x.linear2.weight": second}
    assert multiplied(pair, {"x.linear1", "x.linear2"}).keys() == pair.keys()
    assert multiplied(pair, {"y"}).keys() == pair.keys()
    wrong = {**pair, "x.linear2.weight": second.T}
    assert multiplied(wrong, {"x"}).keys() == wrong.keys()
    made = multiplied({**pair, "x.linear2.bias": second[:, 0]}, {"x"})
    assert made.keys() == {"x.weight", "x.bias"}
    np.testing.assert_array_equal(made["x.weight"], np.full((4, 3), 2))


def test_a_checkpoint_of_timm_face(files, tmp_path, caplog):
    """It holds the classes and the statistics of the loss beside the backbone."""
    folder, expected = files
    tensors = open_weights(folder / "timmface_vit_narrow.safetensors").arrays
    model = {f"backbone.{name}": Written(array) for name, array in tensors.items()}
    model["weight"] = Written(np.ones((7, 512), "f4"))
    for name in ("norm_mean", "norm_std"):
        model[f"loss.{name}"] = Written(np.array(20, "f4"))
    held = {"step": 9, "model": model, "ema": model, "optim": {"state": {}, "param_groups": []}}
    with stand_in():
        path = write_zip(tmp_path / "step_9.pth", held)
    net = CASES["timmface_vit_narrow.safetensors"]()
    net.initialize()
    with caplog.at_level(logging.INFO):
        load_weights(net, path)
    assert re.search(r"left aside.*weight \(3,584 numbers\), loss \(2 numbers\)", caplog.text)
    x = mx.nd.array(expected["images"].transpose(0, 3, 1, 2).astype("f4"))
    want = expected["timmface_vit_narrow"]
    np.testing.assert_allclose(net(x).asnumpy(), want, rtol=0, atol=2e-5)


@pytest.mark.parametrize("name", CASES)
def test_what_was_read_is_written_to_the_bit(files, name):
    """Under the names and in the shapes of the file; half precision has become single."""
    folder, _ = files
    public = {"edgeface_x": "edgeface_xxs", "edgeface_l": "edgeface_xs_gamma_06"}
    public.update(
        {"timmface_c": "timmface_convnext_atto", "timmface_v": "timmface_vit_tiny_patch8"}
    )
    net = CASES[name]()
    net.initialize()
    source = open_weights(folder / name)
    load_weights(net, source)
    net.cfg = dataclasses.replace(net.cfg, name=public[name[:10]])
    written = state_dict(net, modules_of(net, source))
    assert written.keys() == source.arrays.keys()
    for key, array in source.arrays.items():
        assert written[key].shape == array.shape, key
        np.testing.assert_array_equal(written[key], array, err_msg=key)
