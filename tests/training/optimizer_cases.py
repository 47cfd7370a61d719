"""A small network and head with their optimizer step, and gradients for them."""

import numpy as np

from gluonface._compat import mx
from gluonface.training.config.config import OptimizerConfig
from gluonface.training.optimizer_step import OptimizerStep

WD = 0.1


class Head:
    """Stands in for PartialFC: one matrix."""

    def __init__(self):
        self.params = mx.gluon.ParameterDict("head_")
        self.weight = self.params.get("weight", shape=(3, 2))
        self.weight.initialize(mx.init.One())

    def collect_params(self):
        return self.params


class Net(mx.gluon.HybridBlock):
    def __init__(self):
        super().__init__()
        with self.name_scope():
            self.weight = self.params.get("weight", shape=(2, 2), init=mx.init.One())
            self.bias = self.params.get("bias", shape=(2,), init=mx.init.One())


def build(ctx=None, **settings):
    net, head = Net(), Head()
    net.initialize(ctx=ctx or mx.cpu())
    config = OptimizerConfig(**{"lr": 0.1, "wd": WD, **settings})
    return net, head, OptimizerStep(net, head, config)


def give(updates, step):
    """Make gradients that differ by parameter and step; the first device alone has them."""
    with mx.autograd.record():
        terms = []
        for place, parameter in enumerate(updates.parameters()):
            for number, data in enumerate(parameter.list_data()):
                values = (place + 1) * np.cos(step + np.arange(data.size)).reshape(data.shape)
                weight = mx.nd.array(values * (number == 0), ctx=data.context)
                terms.append((data * weight).sum())
    mx.autograd.backward(terms)
