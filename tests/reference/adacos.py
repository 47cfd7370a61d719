"""Slow twin of AdaCos."""

import numpy as np
from reference._softmax_loss import general_softmax, scores_of

CASES = [{}, {"mode": "fixed"}]


def run(
    embeddings, weight, labels, mode="dynamic", strength=1.0, state=None, training=True, **kwargs
):
    s = (state or {"s": np.sqrt(2) * np.log(len(weight) - 1)})["s"]
    if training and mode == "dynamic":
        x, w = np.asarray(embeddings, np.float64), np.asarray(weight, np.float64)
        total, angles = 0.0, []
        for row, y in zip(x, labels):
            cosine = scores_of(row, w)[0]
            angles.append(np.arccos(cosine[y]))
            total += sum(np.exp(s * c) for j, c in enumerate(cosine) if j != y)
        median = sorted(angles)[(len(angles) - 1) // 2]
        s = max(0.0, np.log(total / len(x)) / np.cos(min(np.pi / 4, median)))
    out = general_softmax(
        embeddings,
        weight,
        labels,
        lambda row: (s * row.c, s),
        others=lambda row, c: (s * c, s),
        **kwargs,
    )
    return {**out, "state": {"s": s}}
