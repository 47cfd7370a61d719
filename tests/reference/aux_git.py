"""Slow twin of the Git loss."""

import numpy as np
from reference._auxiliary import move_centers

CASES = [{}, {"lambda_c": 0.0}, {"lambda_g": 0.0}, {"alpha": 0.25, "lambda_c": 1.0}]


def state(rng, classes, size):
    return {"centers": rng.normal(size=(classes, size))}


def run(x, labels, state, lambda_c=0.01, lambda_g=0.1, alpha=0.5):
    x, centers = np.asarray(x, np.float64), np.asarray(state["centers"], np.float64)
    n = len(x)
    loss, grad = np.zeros(n), np.zeros_like(x)
    for i in range(n):
        apart = x[i] - centers[labels[i]]
        loss[i] = lambda_c / 2 * (apart @ apart)
        grad[i] += lambda_c * apart / n
        for j in range(n):
            if j != i:
                apart = x[i] - centers[labels[j]]
                share = lambda_g / (n - 1)
                loss[i] += share / (1 + apart @ apart)
                grad[i] -= share * 2 * apart / (1 + apart @ apart) ** 2 / n
    return {
        "loss": loss,
        "grad_x": grad,
        "state": {"centers": move_centers(centers, x, labels, alpha)},
    }
