"""Slow twin of relational distillation by distance."""

import numpy as np
from reference._auxiliary import through_unit_rows, unit_rows
from reference._teacher import directions, huber

CASES = [{}, {"mean": "distinct"}, {"normalize": True}]


def relative(x):
    """Return relative distances, their mean and number, and the directions between the rows."""
    e, inverse = directions(x)
    real = inverse > 0
    length = np.where(real, 1.0 / np.where(real, inverse, 1.0), 0.0)
    count = max(1, real.sum())
    mean = length.sum() / count or 1.0
    return length / mean, mean, count, e


def run(x, teacher, labels, state, mean="all", normalize=False):
    x, t = np.asarray(x, np.float64), np.asarray(teacher, np.float64)
    s, t = (unit_rows(x), unit_rows(t)) if normalize else (x, t)
    n = len(s)
    pairs = max(1, n * n if mean == "all" else n * (n - 1))
    ours, average, count, e = relative(s)
    theirs = relative(t)[0]
    loss, slope = 0.0, np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            value, slope[i, j] = huber(ours[i, j] - theirs[i, j])
            loss += value / pairs
    grad = np.zeros_like(s)
    shared = (slope * ours).sum() / count
    for i in range(n):
        for j in range(n):
            by_length = (slope[i, j] - shared) / average / pairs
            grad[j] += by_length * e[i, j]
            grad[i] -= by_length * e[i, j]
    grad = through_unit_rows(x, grad) if normalize else grad
    return {"loss": np.array([loss]), "grad_x": grad, "state": {}}
