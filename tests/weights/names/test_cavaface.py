"""State dicts of cavaface's networks give those networks' embeddings in ours."""

import pytest
from reference import torch_networks
from torch_states import check_embeddings, error, images, networks, run

from gluonface.model_zoo import get_model
from gluonface.weights import load_weights


@pytest.mark.parametrize("name", networks("cavaface"))
def test_embeddings_of_the_published_structure(state, name):
    check_embeddings(state, name)


@pytest.mark.slow
def test_old_ir_without_an_affine_last_norm(state):
    content, path = state
    want = run(lambda t, x: torch_networks.ir(t, x, "50", False, old=True), content)
    net = get_model("ir_50")
    load_weights(net, path)
    assert error(net(images()).asnumpy(), want) < 1e-3
