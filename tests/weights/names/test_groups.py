"""The tensors of one network among those of a checkpoint."""

import logging

import numpy as np
import pytest
from reference import torch_networks
from torch_states import error, images, run

from gluonface.errors import DataError, InputError
from gluonface.model_zoo import get_model
from gluonface.weights import load_weights, open_weights
from gluonface.weights.names.groups import backbone_tensors

MODULES = {"conv1", "layers.0", "layers.1.layers.0", "positions"}
NAMES = ["conv1.weight", "layers.0.weight", "layers.1.layers.0.weight", "positions"]


def tensors(*prefixes, more=()):
    names = [prefix + name for prefix in prefixes for name in NAMES]
    return {name: np.full(1, i, "f4") for i, name in enumerate([*names, *more])}


PREFIXES = (
    *("", "module.", "_orig_mod.", "backbone.", "model.", "net.", "student.", "model.net."),
    *("module._orig_mod.", "module.backbone.", "model.module.", "my_own.part.of_it."),
)


@pytest.mark.parametrize("prefix", PREFIXES)
def test_any_prefix_with_a_head_beside(prefix, caplog):
    more = ("head.kernel", "kernel", "weight", "loss.norm_mean", "aligner.conv9.weight")
    given = tensors(prefix, more=more)
    given = dict(reversed(given.items()))  # the order means nothing
    with caplog.at_level(logging.INFO):
        found = backbone_tensors(given, MODULES, "x.ckpt")
    assert found == {name: given[prefix + name] for name in NAMES}
    assert "head (1 numbers)" in caplog.text


def test_a_head_under_the_same_prefix_too():
    given = tensors("model.", more=("model.head.kernel", "model.fc_head.weight"))
    assert set(backbone_tensors(given, MODULES, "x")) == set(NAMES)
    named = {*MODULES, "head.norm"}  # a module of the backbone is none of these
    given = tensors("model.", more=("model.head.norm.weight", "model.head.kernel"))
    assert set(backbone_tensors(given, named, "x")) == {*NAMES, "head.norm.weight"}


def test_unknown_names_under_its_own_prefix_stay():
    given = tensors("net.", more=("net.conv9.weight", "optimizer.conv9.weight"))
    assert set(backbone_tensors(given, MODULES, "x")) == {*NAMES, "conv9.weight"}


def test_two_networks_are_asked_about():
    given = tensors("model.", "ema_model.", more=("model.conv1.num_batches_tracked",))
    with pytest.raises(InputError, match=r"2 networks.*'ema_model\.', 'model\.'.*--prefix"):
        backbone_tensors(given, MODULES, "x")
    for prefix in ("model.", "ema_model."):
        found = backbone_tensors(given, MODULES, "x", prefix)
        kept = {name: array for name, array in found.items() if name in NAMES}
        assert kept == {name: given[prefix + name] for name in NAMES}
    with pytest.raises(InputError, match=r"no tensors under the prefix 'teacher\.'.*'model\.'"):
        backbone_tensors(given, MODULES, "x", "teacher.")
    # The one that is whole is the network.
    del given["ema_model.positions"]
    assert set(NAMES) <= set(backbone_tensors(given, MODULES, "x"))


def test_prefixes_of_a_whole_network(state):
    content, path = state
    want = run(torch_networks.NETWORKS["mixfacenet_xs"], content)
    whole = dict(content)
    content.clear()
    content.update({f"student.module.{name}": array for name, array in whole.items()})
    content.update({"head.kernel": np.ones((512, 7), "f4"), "loss.t": np.zeros(1, "f4")})
    net = get_model("mixfacenet_xs", scale=1 / 127.5)
    assert open_weights(path).embedding_size_of("mixfacenet_xs") == 512
    load_weights(net, path)
    assert error(net(images()).asnumpy(), want) < 1e-3
    content["student.module.other.weight"] = np.ones(3, "f4")
    with pytest.raises(DataError, match=r"not in the model: other\.weight"):
        load_weights(net, path)
