"""State dicts of the published networks, from their second implementation in `reference`."""

import numpy as np
import pytest
from reference import torch_networks

from gluonface._compat import mx
from gluonface.model_zoo import get_model
from gluonface.weights import load_weights

# A network of each way to name things; the others, of the same families, are slow.
QUICK = ("mobilefacenet_cbam", "ghostnet", "mixfacenet_xs")
OTHERS = {
    "mixfacenets": ("mixfacenet", "shufflemixfacenet"),
    "adaface": ("adaface",),
    "arcface_torch": ("mbf", "iresnet", "vit"),
}


def networks(toolkit):
    """Return parameters of pytest: the networks of a toolkit, the slow ones marked."""
    names = list(torch_networks.NETWORKS)
    others = [name for name in names if name.startswith(sum(OTHERS.values(), ()))]
    if toolkit in OTHERS:
        names = [name for name in names if name.startswith(OTHERS[toolkit])]
    else:
        names = [name for name in names if name not in others]
    return [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in names]


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


def check_embeddings(state, name):
    """Compare the embeddings of a published structure with those of our backbone."""
    content, path = state
    want = run(torch_networks.NETWORKS[name], content)
    net = get_model(name, scale=1 / 127.5)
    load_weights(net, path)
    got = net(images()).asnumpy()
    assert want.std() > 0.1
    assert error(got, want) < 1e-3
