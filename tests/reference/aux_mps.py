"""Slow twin of the max-margin pair score."""

import numpy as np
from reference._auxiliary import through_unit_rows, unit_rows

CASES = [{}, {"margin": 2.2}]


def given(h, g, margin=0.5):
    """Losses of given pairs, and the gradients of their mean."""
    raw = [np.asarray(v, np.float64) for v in (h, g)]
    h, g = (unit_rows(v) for v in raw)
    n = len(h)
    loss, grad_h, grad_g = np.zeros(n), np.zeros_like(h), np.zeros_like(g)
    for i in range(n):
        rivals = [pair for j in range(n) if j != i for pair in ((j, i), (i, j))]
        a, b = max(rivals, key=lambda pair: h[pair[0]] @ g[pair[1]])
        loss[i] = max(0.0, h[a] @ g[b] - h[i] @ g[i] + margin)
        if loss[i] > 0:
            grad_h[a] += g[b] / n
            grad_g[b] += h[a] / n
            grad_h[i] -= g[i] / n
            grad_g[i] -= h[i] / n
    return loss, [through_unit_rows(v, grad) for v, grad in zip(raw, (grad_h, grad_g))]


def run(x, labels, state, margin=0.5):
    x, labels = np.asarray(x, np.float64), np.asarray(labels)
    groups = [np.flatnonzero(labels == label) for label in sorted(set(labels.tolist()))]
    pairs = np.array([rows[:2] for rows in groups if len(rows) > 1])
    grad = np.zeros_like(x)
    if len(pairs) < 2:
        return {"loss": np.zeros(1), "grad_x": grad, "state": {}}
    loss, (grad_h, grad_g) = given(x[pairs[:, 0]], x[pairs[:, 1]], margin)
    grad[pairs[:, 0]] += grad_h
    grad[pairs[:, 1]] += grad_g
    return {"loss": loss, "grad_x": grad, "state": {}}
