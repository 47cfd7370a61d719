"""Angles with finite gradients, and the additive angular margin with its rules beyond pi."""

import math

__all__ = ["POLICIES", "angular_target", "safe_angle"]

POLICIES = ("hard", "easy", "none", "psi")

# Below this sine the slope of arccos is constant. float32 cosines near 1 are 6e-8 apart, an angle
# of 3.5e-4, so smaller sines are rounding noise. The slope always multiplies a vector of length
# sin(theta), so the constant changes nothing measurable.
MIN_SINE = 3e-4


def safe_angle(F, cosine):
    """Return arccos of `cosine` with the gradient -1/max(sin, 3e-4), finite everywhere.

    MXNet's own derivative is infinite at ±1 and NaN beyond, and `where` does not mask it. So the
    value is computed from a copy without gradient, and the slope is attached to a term that is
    exactly zero.

    Parameters
    ----------
    F : module
        `mxnet.nd` or `mxnet.sym`.
    cosine : NDArray or Symbol, any shape, float32
        Values beyond ±1, which rounding causes, count as ±1.

    Returns
    -------
    NDArray or Symbol
        Angles in [0, pi], radians.
    """
    fixed = F.BlockGrad(cosine)
    inside = F.clip(fixed, -1.0, 1.0)
    sine = F.sqrt((1.0 - inside) * (1.0 + inside))
    slope = -1.0 / F.maximum(sine, MIN_SINE)
    # `slope` has no gradient of its own: it depends on `fixed` only.
    return F.arccos(inside) + slope * (cosine - fixed)


def angular_target(F, cosine, m1, m2, m3, policy):
    """Return cos(m1 theta + m2) - m3 of the target, continued beyond pi by `policy`.

    Parameters
    ----------
    F : module
        `mxnet.nd` or `mxnet.sym`.
    cosine : NDArray or Symbol (N,) float32
    m1 : NDArray, Symbol (N,) or float
        Factor on the angle.
    m2 : NDArray or Symbol (N,)
        Added to the angle, radians.
    m3 : NDArray, Symbol (N,) or float
        Subtracted from the cosine.
    policy : {"hard", "easy", "none", "psi"}
        With a = m1 theta + m2: ``hard`` takes c - m2 sin(m2) - m3 where a > pi; ``easy`` takes
        the margin only where c > 0; ``none`` takes cos(a) - m3 everywhere, which rises again
        beyond a = pi; ``psi`` takes (-1)^k cos(a) - 2k - m3 with k = floor(a/pi), which falls
        for all angles and has no step.
    """
    angle = safe_angle(F, cosine) * m1 + m2
    inside = F.cos(angle)
    if policy == "psi":
        turns = F.floor(F.BlockGrad(angle) / math.pi)
        sign = 1.0 - 2.0 * (turns - 2.0 * F.floor(turns / 2.0))
        return sign * inside - 2.0 * turns - m3
    inside = inside - m3
    if policy == "hard":
        return F.where(angle <= math.pi, inside, cosine - m2 * F.sin(m2) - m3)
    if policy == "easy":
        return F.where(cosine > 0.0, inside, cosine)
    return inside
