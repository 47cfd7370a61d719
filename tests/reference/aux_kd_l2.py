"""Slow twin of L2 distillation."""

import numpy as np
from reference._auxiliary import through_unit_rows, unit_rows

CASES = [{}, {"normalize": False}]


def run(x, teacher, labels, state, normalize=True):
    x, t = np.asarray(x, np.float64), np.asarray(teacher, np.float64)
    if normalize:
        s, t = unit_rows(x), unit_rows(t)
        loss = ((s - t) ** 2).sum(axis=1)
        grad = through_unit_rows(x, 2 * (s - t) / len(x))
    else:
        loss, grad = ((x - t) ** 2).mean(axis=1), 2 * (x - t) / x.size
    return {"loss": loss, "grad_x": grad, "state": {}}
