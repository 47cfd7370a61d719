"""Slow twin of logit distillation: of given logits, and of embeddings and class centres."""

import numpy as np
from reference._auxiliary import log_softmax, through_unit_rows, unit_rows

CASES = [{}, {"temperature": 1.0}]


def given(student, teacher, temperature=4.0):
    """Losses (N,) of logits (N, C), and the gradients of their sum by the student's."""
    loss, grad = [], []
    for s, t in zip(np.asarray(student, np.float64), np.asarray(teacher, np.float64)):
        log_s, log_t = log_softmax(s / temperature), log_softmax(t / temperature)
        loss.append(temperature**2 * (np.exp(log_t) * (log_t - log_s)).sum())
        grad.append(temperature * (np.exp(log_s) - np.exp(log_t)))
    return np.array(loss), np.array(grad)


def run(x, w, teacher, teacher_w, scale=64.0, temperature=4.0, index=None):
    """Losses (N,) of embeddings and centres, and gradients of their mean; `index` samples."""
    x, w, t, v = (np.asarray(a, np.float64) for a in (x, w, teacher, teacher_w))
    index = np.arange(len(w)) if index is None else np.asarray(index)
    x_unit, w_unit, t_unit, v_unit = (unit_rows(a) for a in (x, w[index], t, v[index]))
    loss, grad = given(
        scale * x_unit @ w_unit.T, scale * t_unit @ v_unit.T, temperature=temperature
    )
    grad *= scale / len(x)
    by_w = np.zeros_like(w)
    by_w[index] = through_unit_rows(w[index], grad.T @ x_unit)
    return {"loss": loss, "grad_x": through_unit_rows(x, grad @ w_unit), "grad_weight": by_w}
