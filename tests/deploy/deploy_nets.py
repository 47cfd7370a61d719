"""Networks with random values for the tests of this folder."""

import json

import numpy as np

from gluonface._compat import mx
from gluonface.nn import GDC, PReLU, prelu_form


class SmallNet(mx.gluon.HybridBlock):
    """All kinds of layers of a mobile face network, few channels."""

    def __init__(self, embedding_size=16):
        super().__init__()
        nn = mx.gluon.nn
        with self.name_scope():
            self.features = nn.HybridSequential()
            self.features.add(
                nn.Conv2D(8, 3, strides=4, padding=1, use_bias=False, in_channels=3),
                nn.BatchNorm(in_channels=8),
                PReLU(8),
                nn.Conv2D(8, 3, strides=4, padding=1, groups=8, use_bias=False, in_channels=8),
                nn.BatchNorm(in_channels=8, scale=False),  # fix_gamma
                PReLU(8),
            )
            self.fc1 = nn.Conv2D(12, 1, in_channels=8)  # a name that export needs for itself
            self.head = GDC(12, embedding_size)

    def hybrid_forward(self, F, x):
        return self.head(self.fc1(self.features((x - 127.5) * (1 / 128))))


def randomize(net, seed=0):
    """Give every parameter a random value; gammas of fix_gamma layers one that must be ignored."""
    rng = np.random.RandomState(seed)
    for name, parameter in sorted(net._collect_params_with_prefix().items()):
        shape = parameter.shape
        if name.endswith("weight"):
            value = rng.normal(0, (2 / np.prod(shape[1:])) ** 0.5, shape)
        elif name.endswith("gamma"):
            value = rng.uniform(0.6, 1.4, shape)
        elif name.endswith("running_var"):
            value = rng.uniform(0.5, 1.5, shape)
        elif name.endswith("alpha"):
            value = rng.uniform(0.05, 0.45, shape)
        else:
            value = rng.normal(0, 0.1, shape)
        parameter.set_data(mx.nd.array(value))
    # Outputs of the size that trained networks give, so that tolerances mean what they say.
    with prelu_form("plain"):
        spread = net(mx.nd.array(rng.randint(0, 256, (4, 3, 112, 112)))).asnumpy().std()
    gamma = net.head.bn2.gamma
    gamma.set_data(gamma.data() / float(spread))
    return net


def make_small(embedding_size=16, seed=0):
    net = SmallNet(embedding_size)
    net.initialize()
    return randomize(net, seed)


def pixels(images):
    """Return images as the network's input."""
    return mx.nd.array(images.transpose(0, 3, 1, 2).astype(np.float32))


def operators(symbol):
    """Return the operators of a symbol, in order."""
    return [node["op"] for node in json.loads(symbol.tojson())["nodes"]]
