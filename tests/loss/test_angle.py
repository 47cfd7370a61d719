"""Angles whose gradients stay finite."""

import math

import numpy as np
import pytest

from gluonface._compat import mx
from gluonface.loss._angle import POLICIES, angular_target, safe_angle

nd = mx.nd


def test_value_and_slope():
    cosine = nd.array([-1.0000001, -1, -0.9, 0, 0.5, 0.999, 0.9999995, 1, 1.0000001])
    cosine.attach_grad()
    with mx.autograd.record():
        angle = safe_angle(nd, cosine)
    angle.backward()
    exact = np.clip(cosine.asnumpy().astype(np.float64), -1, 1)
    np.testing.assert_allclose(angle.asnumpy(), np.arccos(exact), rtol=1e-6)
    slope = -1 / np.maximum(np.sqrt(1 - exact**2), 3e-4)
    np.testing.assert_allclose(cosine.grad.asnumpy(), slope, rtol=1e-4)  # 1 - c loses digits


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(("m1", "m2", "m3"), [(1.0, 0.5, 0.0), (1.0, 0.3, 0.2), (3.0, 0.2, 0.1)])
def test_targets_fall_over_the_angle_where_the_policy_says_so(policy, m1, m2, m3):
    theta = np.linspace(0, math.pi, 2001)
    cosine = nd.array(np.cos(theta))
    ones = nd.ones(cosine.shape)
    value = angular_target(nd, cosine, m1 * ones, m2 * ones, m3 * ones, policy).asnumpy()
    assert np.isfinite(value).all()
    rises = (np.diff(value) > 1e-6).any()
    assert (
        rises
        == {
            "psi": False,
            "hard": m1 != 1,  # which the losses refuse
            "easy": True,  # the step at 90 degrees
            "none": True,
        }[policy]
    )
    if policy == "psi":
        assert np.abs(np.diff(value)).max() < 4 * m1 * math.pi / 2000  # no step
