"""Slow twin of SphereFace-R."""

import numpy as np
from reference._softmax_loss import general_softmax

CASES = [
    {"version": version, "gradient": gradient}
    for version in ("v0", "v1", "v2")
    for gradient in ("detached", "exact")
] + [
    {"version": "v0", "norm": "N", "margin": 1.3},
    {"version": "v1", "norm": "N", "gradient": "exact"},
    {"version": "v2", "norm": "N", "gradient": "exact"},
    {"version": "v2", "norm": "S", "weight": 50.0, "t": 0.02, "scale": 20.0},
]


def run(
    embeddings, centers, labels, version="v1", norm="H", margin=1.5, scale=30.0, t=0.01,
    weight=None, gradient="detached", strength=1.0, weights=None, **kwargs,
):  # fmt: skip
    m = 1.0 + strength * (margin - 1.0)
    unit_x, factor = norm == "H", 1.0 if weight is None else weight / scale

    def bent(row, c, name, f):
        """Return f(c) and its slope; detached f is what it first was, and the slope 1."""
        value, slope = f(np.clip(c, -1.0, 1.0))
        if gradient == "exact":
            return value, slope
        value, at = row.hold(name, (value, c))
        return value + (c - at), 1.0

    def scaled(row, u, name, f):
        """Return the logit over the scale, and its slopes by the score u and by the length."""
        if unit_x:
            return (*bent(row, u, name, f), 0.0)
        value, slope = bent(row, u / row.norm, name, f)
        return (
            row.norm * value / scale,
            slope / scale,
            (value - u / row.norm * slope) / scale,
        )

    def own(c):
        if version == "v2":
            return c, 1.0
        theta = np.arccos(c)
        a = m * theta
        if version == "v1":
            return (np.cos(a), m * np.sin(a) / np.sin(theta)) if a < np.pi else (-1.0, 0.0)
        k = np.floor(a / np.pi)
        sign = (-1.0) ** k
        return sign * np.cos(a) - 2.0 * k, sign * m * np.sin(a) / np.sin(theta)

    def rest(c):
        if version != "v2":
            return c, 1.0
        theta = np.arccos(c)
        return np.cos(theta / m), np.sin(theta / m) / (m * np.sin(theta))

    def penalty(row):
        return t / factor * abs(row.norm - scale), t / factor * np.sign(row.norm - scale)

    count = len(labels)
    weights = np.full(count, 1.0 / count) if weights is None else np.asarray(weights, np.float64)
    out = general_softmax(
        embeddings,
        centers,
        labels,
        lambda row: scaled(row, row.c, "own", own),
        scale,
        others=lambda row, c: scaled(row, c, ("rest", row.j), rest),
        unit_x=unit_x,
        norm_penalty=penalty if norm == "S" else None,
        weights=weights * factor,
        **kwargs,
    )
    return {**out, "loss": out["loss"] * factor}
