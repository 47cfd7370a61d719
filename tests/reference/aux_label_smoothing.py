"""Slow twin of label smoothing."""

import numpy as np
from reference._softmax_loss import cross_entropy

CASES = [{}, {"smoothing": 0.0}, {"smoothing": 0.5}]


def run(logits, labels, smoothing=0.1):
    logits = np.asarray(logits, np.float64)
    out = [cross_entropy(row, label, smoothing) for row, label in zip(logits, labels)]
    return {
        "loss": np.array([row[0] for row in out]),
        "grad_logits": np.array([row[1] for row in out]) / len(out),
    }
