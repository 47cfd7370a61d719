"""State dicts of other projects' networks give those networks' embeddings in ours."""

import numpy as np
import pytest
from reference import torch_networks

from gluonface._compat import mx
from gluonface.errors import DataError, InputError
from gluonface.model_zoo import BACKBONES, get_model
from gluonface.weights import load, load_weights

# A network of each way to name things; the others, of the same families, are slow.
QUICK = ("mobilefacenet_cbam", "mobilenetv3", "ghostnet", "mixfacenet_xs", "rexnetv1_x1.0")


@pytest.fixture
def state(monkeypatch, tmp_path):
    """Return a dict that `load_weights` reads instead of a file, and the file's name."""
    content, path = {}, tmp_path / "a.pth"
    path.write_bytes(b"read_torch is replaced")
    monkeypatch.setattr(load, "read_torch", lambda _: dict(content))
    return content, path


def images(n=2):
    """Return images of coarse squares, which networks tell apart."""
    coarse = np.random.default_rng(0).uniform(0, 255, (n, 3, 14, 14))
    return mx.nd.array(coarse.repeat(8, axis=2).repeat(8, axis=3))


def run(network, content):
    """Return the other project's embeddings; puts its state dict into `content`."""
    torch = torch_networks.Torch()
    want = network(torch, (images() - 127.5) / 127.5).asnumpy()
    content.clear()
    content.update(torch.state)
    return want


def error(got, want):
    """Return the relative distance. 1e-5 to 2e-4 seen, of float32 in two orders of summation
    that normalising by two images magnifies; exchanged tensors move 1e-1 and more.
    """
    return np.linalg.norm(got - want) / np.linalg.norm(want)


@pytest.mark.parametrize(
    "name",
    [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in torch_networks.NETWORKS],
)
def test_embeddings_of_the_published_structure(state, name):
    content, path = state
    want = run(torch_networks.NETWORKS[name], content)
    net = get_model(name, scale=1 / 127.5)
    load_weights(net, path)
    got = net(images()).asnumpy()
    assert want.std() > 0.1
    assert error(got, want) < 1e-3


@pytest.mark.slow
def test_old_ir_without_an_affine_last_norm(state):
    content, path = state
    want = run(lambda t, x: torch_networks.ir(t, x, "50", False, old=True), content)
    net = get_model("ir_50")
    load_weights(net, path)
    assert error(net(images()).asnumpy(), want) < 1e-3


def test_each_network_of_a_family_has_its_names():
    """Every tensor of ours is named by some rule, once, in all sizes of a family."""
    from gluonface.weights.names.arcface_torch import FAMILIES

    named = 0
    for name in BACKBONES.list():
        cfg, make = BACKBONES.get(name)
        if not make.__module__.startswith("gluonface."):
            continue  # of another test
        net = make(cfg, prelu="plain")
        family = FAMILIES.get(type(net).__name__) or next(
            (f for key, f in FAMILIES.items() if name.startswith(key)), None
        )
        if family is None:
            assert name.startswith(("gluonfr_", "se_resnet", "attention_net")), name
            continue
        pairs = list(family(net))
        theirs = [pair[0] for pair in pairs]
        assert len(set(theirs)) == len(theirs), name
        targets = {t[0] if isinstance(t, tuple) else t for _, t in pairs}
        for key in net._collect_params_with_prefix():
            shared = key.replace(".prelu2.", ".prelu1.") if name.startswith("resnest") else key
            assert key in targets or shared.rpartition(".")[0] in targets, f"{name}: {key}"
        named += 1
    assert named >= 60


def test_what_does_not_fit_is_named(state):
    content, path = state
    run(torch_networks.NETWORKS["mobilefacenet_cbam"], content)
    whole, net = dict(content), get_model("mobilefacenet_cbam")
    key = "conv_4.model.2.attention_layer.ch_gate.mlp.fc2.weight"
    for change, message in (
        ({key: None}, r"missing: stages\.8\.attention\.fc2\.weight"),
        ({key: whole[key].T}, r"'stages\.8\.attention\.fc2\.weight' .* \(8, 128\)"),
        ({"conv_4.model.6.conv.conv.weight": whole[key]}, r"not in the model: conv_4\.model\.6\."),
        ({key: whole[key] * np.nan}, r"'conv_4\.model\.2\..*fc2\.weight' .* NaN"),
    ):
        content.clear()
        content.update({k: v for k, v in {**whole, **change}.items() if v is not None})
        with pytest.raises(DataError, match=message):
            load_weights(net, path)
    content.clear()
    content.update(whole)
    with pytest.raises(DataError, match=r"not in the model: conv_23\..*sp_gate"):
        load_weights(get_model("mobilefacenet_se"), path)
    with pytest.raises(InputError, match="not gluonfr_mobilefacenet"):
        load_weights(get_model("gluonfr_mobilefacenet"), path)
