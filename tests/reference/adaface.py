"""Slow twin of AdaFace."""

import numpy as np
from reference._softmax_loss import general_softmax

CASES = [{}, {"margin": 0.5, "h": 3.0}, {"share": 0.9, "scale": 32.0}]


def run(
    embeddings, weight, labels, margin=0.4, h=0.333, share=0.01, scale=64.0, strength=1.0,
    state=None, training=True, **kwargs,
):  # fmt: skip
    state = dict(state or {"mean": 20.0, "std": 100.0})
    lengths = np.clip(np.linalg.norm(np.asarray(embeddings, np.float64), axis=1), 1e-3, 100)
    if training:
        state["mean"] = share * lengths.mean() + (1 - share) * state["mean"]
        if len(lengths) > 1:
            state["std"] = share * lengths.std(ddof=1) + (1 - share) * state["std"]

    def target(row):
        raw = (np.clip(row.norm, 1e-3, 100) - state["mean"]) / (state["std"] + 1e-3)
        q = row.hold("quality", np.clip(raw * h, -1, 1))
        m = strength * margin
        angle = np.arccos(row.c) - m * q
        kept = np.clip(angle, 1e-3, np.pi - 1e-3)
        slope = np.sin(kept) / max(np.sqrt(1 - row.c**2), 1e-9) if kept == angle else 0.0
        return np.cos(kept) - (m + m * q), slope

    out = general_softmax(embeddings, weight, labels, target, scale, **kwargs)
    return {**out, "state": state}
