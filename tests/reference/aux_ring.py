"""Slow twin of the ring loss."""

import numpy as np

CASES = [{}]


def state(rng, classes, size):
    return {"radius": np.array([1.7]), "started": np.int64(1)}


def run(x, labels, state):
    x, radius = np.asarray(x, np.float64), float(state["radius"][0])
    loss, grad = np.zeros(len(x)), np.zeros_like(x)
    for i, row in enumerate(x):
        length = np.sqrt(row @ row)
        loss[i] = 0.5 * (length - radius) ** 2
        grad[i] = (length - radius) * row / length / len(x) if length > 0 else 0.0
    slope = np.mean([radius - np.sqrt(row @ row) for row in x])
    return {"loss": loss, "grad_x": grad, "grad_radius": np.array([slope]), "state": state}
