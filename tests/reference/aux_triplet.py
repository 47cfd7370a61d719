"""Slow twin of the triplet loss, batch-hard and of given triplets."""

import numpy as np
from reference._auxiliary import through_unit_rows, unit_rows

CASES = [{}, {"normalize": False, "margin": 1.0}]


def run(x, labels, state, margin=0.2, normalize=True):
    x = np.asarray(x, np.float64)
    e = unit_rows(x) if normalize else x
    n = len(e)
    loss, grad = np.zeros(n), np.zeros_like(e)
    for a in range(n):
        d = ((e - e[a]) ** 2).sum(axis=1)
        same = [j for j in range(n) if labels[j] == labels[a] and j != a]
        other = [j for j in range(n) if labels[j] != labels[a]]
        if same and other:
            p, q = max(same, key=lambda j: d[j]), min(other, key=lambda j: d[j])
            loss[a] = max(0.0, d[p] - d[q] + margin)
            if loss[a] > 0:
                grad[a] += 2 * (e[q] - e[p]) / n
                grad[p] += 2 * (e[p] - e[a]) / n
                grad[q] += 2 * (e[a] - e[q]) / n
    return {"loss": loss, "grad_x": through_unit_rows(x, grad) if normalize else grad, "state": {}}


def given(anchor, positive, negative, margin=0.2, normalize=True):
    """Losses of given triplets, and the gradients of their mean."""
    raw = [np.asarray(v, np.float64) for v in (anchor, positive, negative)]
    a, p, q = (unit_rows(v) for v in raw) if normalize else raw
    loss = ((a - p) ** 2).sum(axis=1) - ((a - q) ** 2).sum(axis=1) + margin
    live = (loss > 0)[:, None] * 2.0 / len(a)
    grads = [live * (q - p), live * (p - a), live * (a - q)]
    if normalize:
        grads = [through_unit_rows(v, g) for v, g in zip(raw, grads)]
    return np.maximum(loss, 0.0), grads
