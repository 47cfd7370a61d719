"""The optimizer step: clipping, and the optimizer's state."""

import numpy as np
import pytest
from optimizer_cases import Head, build, give

from gluonface._compat import mx
from gluonface.errors import InputError, TrainingError
from gluonface.training.config.config import OptimizerConfig
from gluonface.training.optimizer_step import OptimizerStep


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
