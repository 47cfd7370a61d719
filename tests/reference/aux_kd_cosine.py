"""Slow twin of cosine distillation."""

import numpy as np
from reference._auxiliary import through_unit_rows, unit_rows

CASES = [{}]


def run(x, teacher, labels, state):
    x, t = np.asarray(x, np.float64), unit_rows(np.asarray(teacher, np.float64))
    s = unit_rows(x)
    loss = np.array([1.0 - a @ b for a, b in zip(s, t)])
    return {"loss": loss, "grad_x": through_unit_rows(x, -t / len(x)), "state": {}}
