import numpy as np
import pytest
from optimizer_cases import build, give

WD = 0.1


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
