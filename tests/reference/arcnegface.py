"""Slow twin of ArcNegFace."""

import numpy as np
from reference import combined
from reference._softmax_loss import general_softmax

CASES = [{}, {"alpha": 1.5, "sigma": 0.5}, {"margin": 0.3, "policy": "none"}]


def run(
    embeddings, weight, labels, margin=0.5, alpha=1.2, sigma=2.0, scale=64.0, policy="hard",
    strength=1.0, **kwargs,
):  # fmt: skip
    def others(row, c):
        # The class is known by its place in the order of calls.
        row.seen = getattr(row, "seen", 0) + 1
        t = row.hold(row.seen, alpha * np.exp(-((c - row.target) ** 2) / sigma))
        return c + strength * (t * c + t - 1 - c), 1 + strength * (t - 1)

    return general_softmax(
        embeddings,
        weight,
        labels,
        lambda row: combined.target(row.c, 1.0, margin, 0.0, policy, strength),
        scale,
        others=others,
        **kwargs,
    )
