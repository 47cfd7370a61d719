"""State dicts of other projects' networks give those networks' embeddings in ours."""

import numpy as np
import pytest
from reference import torch_networks
from torch_states import run
from zoo_samples import first_of_family

from gluonface.errors import DataError, InputError
from gluonface.model_zoo import BACKBONES, get_model
from gluonface.weights import load_weights


@pytest.mark.parametrize("name", first_of_family())
def test_each_network_of_a_family_has_its_names(name):
    """Every tensor of ours is named by some rule, once, in all sizes of a family."""
    from gluonface.weights.names import find_family

    cfg, make = BACKBONES.get(name)
    net = make(cfg, prelu="plain")
    family = find_family(net)
    if family is None:
        assert name.startswith(("gluonfr_", "se_resnet", "attention_net"))
        return
    pairs = list(family(net))
    theirs = [pair[0] for pair in pairs]
    assert len(set(theirs)) == len(theirs)
    targets = {t[0] if isinstance(t, tuple) else t for _, t in pairs}
    for key in net._collect_params_with_prefix():
        shared = key.replace(".prelu2.", ".prelu1.") if name.startswith("resnest") else key
        assert key in targets or shared.rpartition(".")[0] in targets, key


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
