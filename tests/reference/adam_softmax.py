"""Slow twin of AdaM-Softmax."""

import numpy as np
from reference._softmax_loss import general_softmax

CASES = [{}, {"weight": 5.0, "scale": 64.0, "initial_margin": 0.2}]


def run(
    embeddings, centers, labels, weight=50.0, scale=30.0, initial_margin=0.4, max_margin=1.0,
    strength=1.0, class_margin=None, **kwargs,
):  # fmt: skip
    if class_margin is None:
        class_margin = np.full(len(centers), initial_margin)
    return general_softmax(
        embeddings,
        centers,
        labels,
        lambda row: (row.c - strength * row.m, 1.0, 0.0, -strength),
        scale,
        class_margin=class_margin,
        class_penalty=-weight * strength,
        **kwargs,
    )
