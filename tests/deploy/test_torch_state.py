"""Weights for PyTorch: what is written is what was read, and gives the same embeddings."""

import json

import numpy as np
import pytest

from gluonface._compat import mx
from gluonface.cli import main
from gluonface.deploy import Embedder, export_model, export_torch
from gluonface.errors import GluonfaceError, InputError
from gluonface.model_zoo import get_model
from gluonface.weights.card import make_card
from gluonface.weights.safetensors import read_safetensors
from gluonface.weights.torch_pickle import read_torch


def metadata(path):
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length])["__metadata__"]


def test_a_file_of_pytorch_comes_out_as_it_went_in(shared, tmp_path):
    """Every tensor to the bit; arcface_torch scales the pixels as the model does."""
    source = shared / "reference/weights/arcface_torch_mbf.pth"
    if not source.is_file():
        pytest.skip(f"needs {source}")
    path = export_torch(f"mbf:{source}", tmp_path / "m.safetensors")
    written, given = read_safetensors(path), read_torch(source)
    assert list(written) == list(given)
    for name, array in given.items():
        if not name.endswith("num_batches_tracked"):
            assert written[name].dtype == array.dtype == np.float32
        assert written[name].shape == array.shape
        if array.dtype == np.float32:
            np.testing.assert_array_equal(written[name], array, err_msg=name)
    told = metadata(path)
    assert told["format"] == "pt"
    assert told["class"].startswith("arcface_torch: backbones.get_model('mbf'")
    assert (told["color"], told["embedding_size"]) == ("RGB", "512")
    assert told["mean"] == told["std"] == "0.5,0.5,0.5"


def test_what_a_state_dict_cannot_hold_goes_into_its_tensors(tmp_path, images):
    """MobileFaceNet scales by 1/128 here, cavaface by 1/127.5; and the eps of imported weights."""
    mx.random.seed(5)
    net = get_model("mobilefacenet", batch_norm={"*": {"eps": 1e-3}})
    net.save_parameters(str(tmp_path / "m.params"))
    (tmp_path / "m.json").write_text(json.dumps(make_card(net.cfg, 128)))
    out = tmp_path / "new" / "m.safetensors"
    command = ["export", "--model", f"mobilefacenet:{tmp_path / 'm.params'}", "--torch", str(out)]
    assert main([*command, "--licence", "MIT"]) == 0
    first = net._collect_params_with_prefix()
    weight = next(p for p in first.values() if p.shape[1:] == (3, 3, 3)).data().asnumpy()
    written = read_safetensors(out)
    np.testing.assert_allclose(written["conv1.conv.weight"], weight * 127.5 / 128, rtol=1e-6)
    assert metadata(out)["licence"] == "MIT"
    np.testing.assert_allclose(written["conv1.bn.running_var"], 1 + 1e-3 - 1e-5, rtol=1e-6)
    before = Embedder.load(f"mobilefacenet:{tmp_path / 'm.params'}", "cpu", "mxnet")
    after = Embedder.load(f"mobilefacenet:{out}", "cpu", "mxnet")
    want = before.embed_views(images)[0]
    assert np.abs(after.embed_views(images)[0] - want).max() < 1e-4 * np.abs(want).max()


# timm is the one toolkit of these that is installed as a package: name, and how it is built there.
OF_TIMM = {
    "timmface_convnext_atto": ("convnext_atto", {"patch_size": 2}),
    "timmface_vit_tiny_patch8": ("vit_tiny_patch16_224", {"patch_size": 8, "img_size": 112}),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", OF_TIMM)
def test_pytorch_gives_the_same_embeddings(name, tmp_path, images):
    torch = pytest.importorskip("torch", reason="needs PyTorch and timm")
    timm = pytest.importorskip("timm", reason="needs PyTorch and timm")
    mx.random.seed(5)
    net = get_model(name)
    for key, parameter in net._collect_params_with_prefix().items():
        if key.endswith(".gamma"):  # the scales of the blocks, else 1e-6
            parameter.set_data(mx.nd.random.uniform(0.5, 1.5, parameter.shape))
    net.save_parameters(str(tmp_path / "m.params"))
    out = export_torch(f"{name}:{tmp_path / 'm.params'}", tmp_path / "m.safetensors")
    theirs, settings = OF_TIMM[name]
    assert metadata(out)["class"].startswith(f"timm_face: timm.create_model('{theirs}', num_cl")
    model = timm.create_model(theirs, num_classes=512, **settings).eval()
    tensors = {key: torch.tensor(array) for key, array in read_safetensors(out).items()}
    model.load_state_dict(tensors, strict=True)
    x = images[:4].transpose(0, 3, 1, 2).astype("f4")
    with torch.no_grad():
        got = model((torch.tensor(x) / 255 - 0.5) / 0.5).numpy()
    want = net(mx.nd.array(x)).asnumpy()
    assert want.std() > 0.1
    # Seen: 1e-6.
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-5)


def test_a_finished_run_names_its_backbone(tmp_path):
    """By its checkpoint; its export, a graph, does not. The licence is that of its card."""
    run = tmp_path / "run"
    net = get_model("mobilefacenet", embedding_size=8)
    export_model(net, run / "export/model", card={"licence": "MIT"})
    (run / "config.yaml").write_text("model: {name: mobilefacenet, embedding_size: 8}\n")
    out = tmp_path / "m.safetensors"
    with pytest.raises(InputError, match="no model yet"):
        export_torch(run, out)
    (run / "checkpoints/best").mkdir(parents=True)
    net.save_parameters(str(run / "checkpoints/best/backbone.params"))
    export_torch(str(run), out)
    written = read_safetensors(out)
    params = tmp_path / "m.params"
    net.save_parameters(str(params))
    named = export_torch(f"mobilefacenet:{params}", tmp_path / "n.safetensors")
    named = read_safetensors(named)
    assert written.keys() == named.keys()
    assert all(np.array_equal(written[key], named[key]) for key in named)
    assert metadata(out)["licence"] == "MIT"


def test_what_cannot_be_written(small_prefix, tmp_path, monkeypatch):
    out = tmp_path / "m.safetensors"
    with pytest.raises(InputError, match="does not name its backbone"):
        export_torch(small_prefix, out)
    with pytest.raises(InputError, match=r"ends in \.safetensors"):
        export_torch("mobilefacenet:untrained", tmp_path / "m.pth")
    with pytest.raises(InputError, match="no public PyTorch class"):
        export_torch("mixfacenet_xs:untrained", out)
    # Two tensors in each other's place.
    module = "gluonface.deploy.torch_state.state_dict"
    import gluonface.deploy.torch_state as torch_state

    make = torch_state.state_dict

    def exchanged(net, modules):
        arrays = make(net, modules)
        arrays["conv1.conv.weight"] = arrays["conv1.conv.weight"][:, ::-1] * 2
        return arrays

    monkeypatch.setattr(module, exchanged)
    with pytest.raises(GluonfaceError, match="give other embeddings"):
        export_torch("mobilefacenet:untrained", out)
    assert not out.exists()
