"""Slow twin of Li-ArcFace."""

import numpy as np
from reference._softmax_loss import general_softmax

CASES = [{}, {"margin": 0.2, "scale": 30.0}]


def run(embeddings, weight, labels, margin=0.45, scale=64.0, strength=1.0, **kwargs):
    def logit(c, m):
        slope = 2 / np.pi / max(np.sqrt(1 - c * c), 1e-9)
        return (np.pi - 2 * (np.arccos(c) + m)) / np.pi, slope

    return general_softmax(
        embeddings,
        weight,
        labels,
        lambda row: logit(row.c, strength * margin),
        scale,
        others=lambda row, c: logit(c, 0.0),
        **kwargs,
    )
