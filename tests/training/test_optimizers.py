import numpy as np
import pytest

from gluonface._compat import mx
from gluonface.errors import InputError, TrainingError
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


def twin(name, weights, gradients, lrs, wd):
    """Update one array by the textbook in float64."""
    weights = weights.astype(np.float64)
    m, v = np.zeros_like(weights), np.zeros_like(weights)
    for count, (g, lr) in enumerate(zip(gradients, lrs), start=1):
        if name == "sgd":  # MXNet keeps the learning rate inside the momentum
            m = 0.9 * m + lr * (g + wd * weights)
            weights = weights - m
            continue
        if name == "nag":  # and here the momentum takes the decay of the updated weight
            step = lr * (g + wd * weights)
            weights = weights - step - 0.9 * (0.9 * m + step)
            m = 0.9 * m + lr * (g + wd * weights)
            continue
        if name == "adam":
            g = g + wd * weights
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        rate = lr * np.sqrt(1 - 0.999**count) / (1 - 0.9**count)
        step = rate * m / (np.sqrt(v) + 1e-8)
        weights = weights - step - (lr * wd * weights if name == "adamw" else 0)
    return weights


@pytest.mark.parametrize("no_decay", [False, True])
@pytest.mark.parametrize("name", ["sgd", "nag", "adam", "adamw"])
def test_against_the_textbook(name, no_decay):
    net, head, updates = build(name=name, no_decay=no_decay)
    lrs = [0.1, 0.05, 0.2]
    for step, lr in enumerate(lrs):
        give(updates, step)
        updates.apply(lr)
    for place, parameter in enumerate([net.weight, net.bias, head.weight]):
        size = parameter.data().size
        gradients = [
            ((place + 1) * np.cos(step + np.arange(size))).reshape(parameter.shape)
            for step in range(3)
        ]
        wd = 0.0 if no_decay and parameter is net.bias else WD
        expected = twin(name, np.ones(parameter.shape), gradients, lrs, wd)
        # float32 arithmetic of three updates of numbers near 1
        np.testing.assert_allclose(parameter.data().asnumpy(), expected, rtol=0, atol=4e-6)


@pytest.mark.parametrize("name", ["sgd", "nag", "adam", "adamw"])
@pytest.mark.parametrize("devices", [1, 2])
def test_state_goes_on_to_the_last_bit(name, devices):
    ctx = [mx.cpu(i) for i in range(devices)]
    runs = []
    for restore in (False, True):
        net, head, updates = build(ctx=ctx, name=name)
        for step in range(4):
            if step == 2 and restore:
                other, other_head, fresh = build(ctx=ctx, name=name)
                other.weight.set_data(net.weight.data(ctx[0]))
                other.bias.set_data(net.bias.data(ctx[0]))
                other_head.weight.set_data(head.weight.data())
                for group in ("backbone", "head"):
                    fresh.load_state(group, updates.state(group))
                net, head, updates = other, other_head, fresh
            give(updates, step)
            updates.apply(0.1)
        runs.append([p.data(c).asnumpy() for p in updates.parameters() for c in p.list_ctx()])
    for whole, restored in zip(*runs):
        np.testing.assert_array_equal(whole, restored)


def test_clipping_bounds_the_global_norm():
    _, _, updates = build(clip_norm=0.5, wd=0.0, name="sgd", momentum=0.0)
    give(updates, 0)
    before = [p.grad().asnumpy() for p in updates.parameters()]
    norm = np.sqrt(sum(np.square(g).sum() for g in before))
    np.testing.assert_allclose(updates.gradient_norm().asscalar(), norm, rtol=1e-6)
    updates.apply(1.0)
    for parameter, grad in zip(updates.parameters(), before):
        moved = 1.0 - parameter.data().asnumpy()
        np.testing.assert_allclose(moved, grad * 0.5 / norm, rtol=1e-5, atol=1e-7)


def test_small_gradients_are_not_touched_by_clipping():
    _, _, updates = build(clip_norm=1e3, wd=0.0, name="sgd", momentum=0.0)
    give(updates, 0)
    before = [p.grad().asnumpy() for p in updates.parameters()]
    updates.apply(1.0)
    for parameter, grad in zip(updates.parameters(), before):
        np.testing.assert_array_equal(parameter.grad().asnumpy(), grad)


def test_state_of_another_optimizer_or_network():
    _, _, updates = build(name="adam")
    give(updates, 0)
    updates.apply(0.1)
    state = updates.state("backbone")
    _, _, other = build(name="sgd")
    with pytest.raises(TrainingError, match="another optimizer"):
        other.load_state("backbone", state)
    _, _, same = build(name="adam")
    with pytest.raises(TrainingError, match="nobody"):
        same.load_state("backbone", {**state, "nobody#0": np.zeros(1)})


def test_unknown_shapes_are_refused():
    net = mx.gluon.nn.Dense(3)
    net.initialize()
    with pytest.raises(InputError, match="in_units"):
        OptimizerStep(net, Head(), OptimizerConfig())
