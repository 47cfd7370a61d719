"""Slow twin of MagFace."""

import numpy as np
from reference import combined
from reference._softmax_loss import general_softmax

CASES = [{}, {"l_a": 5.0, "u_a": 12.0, "l_m": 0.1, "u_m": 0.9, "lambda_g": 20.0}]


def run(
    embeddings, weight, labels, l_a=10.0, u_a=110.0, l_m=0.45, u_m=0.8, lambda_g=35.0, scale=64.0,
    policy="hard", strength=1.0, **kwargs,
):  # fmt: skip
    rise = (u_m - l_m) / (u_a - l_a)

    def target(row):
        a = np.clip(row.norm, l_a, u_a)
        m = strength * (l_m + rise * (a - l_a))
        value, by_c = combined.target(row.c, 1.0, m, 0.0, policy)
        theta = np.arccos(row.c)
        if policy == "hard" and theta + m > np.pi:
            by_m = -np.sin(m) - m * np.cos(m)
        else:
            by_m = -np.sin(theta + m)
        return value, by_c, by_m * strength * rise * (l_a < row.norm < u_a)

    def penalty(row):
        a = np.clip(row.norm, l_a, u_a)
        inside = l_a < row.norm < u_a
        factor = strength * lambda_g
        return factor * (a / u_a**2 + 1 / a), factor * (1 / u_a**2 - 1 / a**2) * inside

    return general_softmax(
        embeddings, weight, labels, target, scale, norm_penalty=penalty, **kwargs
    )
