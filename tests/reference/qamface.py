"""Slow twin of QAMFace."""

import numpy as np
from reference._softmax_loss import general_softmax

CASES = [{}, {"margin": 0.2, "scale": 3.0}]


def run(embeddings, weight, labels, margin=0.5, scale=6.0, strength=1.0, **kwargs):
    def logit(c, m):
        rest = 2 * np.pi - (np.arccos(c) + m)
        return rest**2, 2 * rest / max(np.sqrt(1 - c * c), 1e-9)

    return general_softmax(
        embeddings,
        weight,
        labels,
        lambda row: logit(row.c, strength * margin),
        scale,
        others=lambda row, c: logit(c, 0.0),
        **kwargs,
    )
