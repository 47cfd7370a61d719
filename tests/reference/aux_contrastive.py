"""Slow twin of the contrastive loss, within a batch and of given pairs."""

import numpy as np
from reference._auxiliary import through_unit_rows, unit_rows

CASES = [{}, {"normalize": False, "margin": 6.0}]


def pair(a, b, same, margin):
    """Return the loss of one pair and its gradient by `a` (by `b` it is the opposite)."""
    apart = a - b
    distance = np.sqrt(apart @ apart)
    if same:
        return distance**2, 2 * apart
    if distance >= margin or distance == 0:
        return max(0.0, margin - distance) ** 2, apart * 0.0
    return (margin - distance) ** 2, -2 * (margin - distance) * apart / distance


def run(x, labels, state, margin=1.0, normalize=True):
    x = np.asarray(x, np.float64)
    e = unit_rows(x) if normalize else x
    n = len(e)
    loss, grad = np.zeros(n), np.zeros_like(e)
    for i in range(n):
        for same in (True, False):
            partners = [j for j in range(n) if j != i and (labels[j] == labels[i]) == same]
            for j in partners:
                value, slope = pair(e[i], e[j], same, margin)
                loss[i] += value / len(partners)
                grad[i] += slope / len(partners) / n
                grad[j] -= slope / len(partners) / n
    return {"loss": loss, "grad_x": through_unit_rows(x, grad) if normalize else grad, "state": {}}


def given(x1, x2, same, margin=1.0, normalize=True):
    """Losses of given pairs, and the gradients of their mean."""
    raw = [np.asarray(v, np.float64) for v in (x1, x2)]
    a, b = (unit_rows(v) for v in raw) if normalize else raw
    out = [pair(*row, margin) for row in zip(a, b, np.asarray(same) > 0)]
    slope = np.array([row[1] for row in out]) / len(out)
    grads = [slope, -slope]
    if normalize:
        grads = [through_unit_rows(v, g) for v, g in zip(raw, grads)]
    return np.array([row[0] for row in out]), grads
