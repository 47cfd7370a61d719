"""Slow twin of SphereFace."""

import numpy as np
from reference._softmax_loss import general_softmax

CASES = [
    {},
    {"base": 0.0, "lambda_min": 0.0},
    {"radius": "fixed", "scale": 30.0, "base": 0.0, "lambda_min": 0.0},
    *({"margin": m, "base": 4.0, "lambda_min": 0.5} for m in (1, 2, 3, 5)),
]


def run(
    embeddings, weight, labels, margin=4, radius="norm", scale=1.0, base=1000.0, gamma=0.12,
    power=1.0, lambda_min=5.0, strength=1.0, state=None, training=True, **kwargs,
):  # fmt: skip
    step = (state or {"step": 0})["step"] + training
    weight_of_cosine = max(lambda_min, base * (1 + gamma * step) ** -power)

    def target(row):
        length = row.norm if radius == "norm" else 1.0
        cosine = np.clip(row.c / length if length > 0 else 0.0, -1.0, 1.0)
        theta = np.arccos(cosine)
        k = np.floor(margin * theta / np.pi)
        psi = (-1) ** k * np.cos(margin * theta) - 2 * k
        sine = max(np.sqrt(1 - cosine**2), 1e-9)
        slope = (-1) ** k * margin * np.sin(margin * theta) / sine
        share = strength / (1 + weight_of_cosine)
        value = cosine + share * (psi - cosine)
        by_cosine = 1 + share * (slope - 1)
        if radius == "fixed":
            return value, by_cosine
        return length * value, by_cosine, value - cosine * by_cosine

    out = general_softmax(
        embeddings, weight, labels, target, scale, unit_x=radius == "fixed", **kwargs
    )
    return {**out, "state": {"step": step}}
