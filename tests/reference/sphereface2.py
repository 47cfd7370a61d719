"""Slow twin of SphereFace2."""

import numpy as np
from reference._binary_loss import binary_sum

CASES = [
    {},
    {"alpha": 0.8, "scale": 64.0, "margin": 0.5},
    {"kind": "A"},
    {"kind": "M"},
    {"gradient": "exact"},
    {"kind": "A", "gradient": "exact"},
    {"kind": "M", "margin": 1.3, "gradient": "exact", "t": 2.5},
    {"t": 1.0, "gradient": "exact", "weight": 10.0},
    {"t": 1.0, "gradient": "exact", "kind": "A"},
]


def run(
    embeddings, centers, labels, kind="C", margin=None, scale=40.0, alpha=0.7, t=3.0, weight=50.0,
    gradient="detached", strength=1.0, bias=(0.0,), **kwargs,
):  # fmt: skip
    if margin is None:
        margin = 1.6 if kind == "M" else 0.4

    def g(v):
        half = (v + 1.0) / 2.0
        return 2.0 * half**t - 1.0, t * half ** (t - 1.0)

    def rest(c):
        value, slope = g(c)
        return value + (strength * margin if kind == "C" else 0.0), slope

    def own(c):
        if kind == "C":
            value, slope = g(c)
            return value - strength * margin, slope
        theta = np.arccos(c)
        factor = 1.0 if kind == "A" else 1.0 + strength * (margin - 1.0)
        bent = factor * theta + (strength * margin if kind == "A" else 0.0)
        if bent >= np.pi:
            return g(-1.0)[0], 0.0
        value, slope = g(np.cos(bent))
        return value, slope * factor * np.sin(bent) / np.sin(theta)

    return binary_sum(
        embeddings,
        centers,
        labels,
        own,
        rest,
        scale,
        weight / scale * alpha,
        weight / scale * (1.0 - alpha),
        bias,
        1.0,
        exact=gradient == "exact",
        **kwargs,
    )
