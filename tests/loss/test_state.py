"""What the losses learn of their batches, by numbers that can be checked by hand."""

import math

import numpy as np
import pytest
from loss_paths import states

from gluonface._compat import mx
from gluonface.loss import get_loss

nd = mx.nd


@pytest.mark.parametrize(
    ("angles", "median"),
    [
        ([0.7, 0.1, 0.5, 0.3], 0.3),  # the lower of the two in the middle
        ([0.7, 0.1, 0.5], 0.5),
        ([0.2], 0.2),
        ([1.2, 0.1, 1.3], math.pi / 4),  # no further than that
    ],
)
def test_adacos_scale(angles, median):
    margin = get_loss("adacos")
    margin.prepare(100)
    assert states(margin) == {"s": pytest.approx(math.sqrt(2) * math.log(99))}
    margin.update(nd, cosine=nd.array(np.cos(angles)), log_sum=nd.array([5.0]))
    want = (5.0 - math.log(len(angles))) / math.cos(median)
    assert states(margin) == {"s": pytest.approx(want, rel=1e-6)}


def test_adacos_scale_does_not_turn_negative():
    margin = get_loss("adacos")
    margin.prepare(3)
    margin.update(nd, cosine=nd.array([0.9]), log_sum=nd.array([-1.0]))
    assert states(margin) == {"s": 0.0}


def test_curricularface_mean():
    margin = get_loss("curricularface", share=0.25)
    for _ in range(2):
        margin.update(nd, cosine=nd.array([1.0000001, 0.2]))
    assert states(margin) == {"t": pytest.approx(0.6 * (1 - 0.75**2), rel=1e-6)}
    margin.reset()
    assert states(margin) == {"t": 0.0}


def test_adaface_statistics():
    margin = get_loss("adaface", share=0.5)
    margin.update(nd, norm=nd.array([10.0, 14.0, 500.0]))  # lengths count up to 100
    mean = (10 + 14 + 100) / 3
    std = np.std([10, 14, 100], ddof=1)
    assert states(margin) == pytest.approx({"mean": 10 + mean / 2, "std": 50 + std / 2}, rel=1e-6)
    before = states(margin)
    margin.update(nd, norm=nd.array([10.0]))  # one sample has a mean, but no deviation
    assert states(margin)["std"] == before["std"]
    assert states(margin)["mean"] == pytest.approx((before["mean"] + 10) / 2)


def test_sphereface_anneals():
    margin = get_loss("sphereface", radius="fixed", gamma=1.0, base=3.0, lambda_min=0.5)
    cosine, ones = nd.array([0.3]), nd.ones((1,))
    psi = -math.cos(4 * math.acos(0.3)) - 2
    for step, weight in ((0, 3.0), (1, 1.5), (2, 1.0), (7, 0.5)):
        while states(margin)["step"] < step:
            margin.update(nd)
        got = margin.target(nd, cosine, ones, step=ones * step).asscalar()
        assert got == pytest.approx((weight * 0.3 + psi) / (1 + weight), rel=1e-5)
