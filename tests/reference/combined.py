"""Slow twin of the combined margin, with its rules beyond pi."""

import numpy as np
from reference._softmax_loss import margin_softmax

CASES = [
    {},
    {"m2": 0.0, "m3": 0.4},
    *({"m1": m1, "m2": m2, "m3": m3, "policy": policy}
      for m1, m2, m3 in ((0.9, 0.4, 0.15), (1.2, 0.4, 0.0), (1.35, 0.0, 0.0))
      for policy in ("auto", "none", "psi")),
    *({"policy": policy} for policy in ("easy", "none", "psi")),
    {"m1": 4.0, "m2": 0.0, "m3": 0.0},
]  # fmt: skip


def target(cosine, m1=1.0, m2=0.3, m3=0.2, policy="auto", strength=1.0):
    """Return the margined cosine and its derivative by the cosine, 0 slope of theta at ±1."""
    if policy == "auto":
        policy = "hard" if m1 == 1.0 else "psi"
    m1, m2, m3 = 1.0 + strength * (m1 - 1.0), strength * m2, strength * m3
    theta = np.arccos(cosine)
    a = m1 * theta + m2
    sine = np.sqrt((1.0 - cosine) * (1.0 + cosine))
    slope = m1 * np.sin(a) / sine if sine > 0 else 0.0
    if policy == "hard" and a > np.pi:
        return cosine - m2 * np.sin(m2) - m3, 1.0
    if policy == "easy" and cosine <= 0:
        return cosine, 1.0
    if policy == "psi":
        k = np.floor(a / np.pi)
        return (-1) ** k * np.cos(a) - 2 * k - m3, (-1) ** k * slope
    return np.cos(a) - m3, slope


def run(
    embeddings, weight, labels, m1=1.0, m2=0.3, m3=0.2, scale=64.0, policy="auto", strength=1.0,
    **kwargs,
):  # fmt: skip
    return margin_softmax(
        embeddings,
        weight,
        labels,
        lambda c: target(c, m1, m2, m3, policy, strength),
        scale,
        **kwargs,
    )
