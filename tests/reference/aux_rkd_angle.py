"""Slow twin of relational distillation by angle."""

import itertools

import numpy as np
from reference._auxiliary import through_unit_rows, unit_rows
from reference._teacher import directions, huber

CASES = [{}, {"mean": "distinct"}, {"normalize": True}]


def run(x, teacher, labels, state, mean="all", normalize=False):
    x, t = np.asarray(x, np.float64), np.asarray(teacher, np.float64)
    s, t = (unit_rows(x), unit_rows(t)) if normalize else (x, t)
    n = len(s)
    triples = max(1, n**3 if mean == "all" else n * (n - 1) * (n - 2))
    (e, inverse), (theirs, _) = directions(s), directions(t)
    loss, grad = 0.0, np.zeros_like(s)
    for j, i, k in itertools.product(range(n), repeat=3):  # the vertex is j
        a, b = e[j, i], e[j, k]
        value, slope = huber(a @ b - theirs[j, i] @ theirs[j, k])
        loss += value / triples
        by_a, by_b = (slope * inverse[j, m] / triples for m in (i, k))
        along_a, along_b = by_a * (b - a * (a @ b)), by_b * (a - b * (a @ b))
        grad[i] += along_a
        grad[k] += along_b
        grad[j] -= along_a + along_b
    grad = through_unit_rows(x, grad) if normalize else grad
    return {"loss": np.array([loss]), "grad_x": grad, "state": {}}
