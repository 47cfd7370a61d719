"""Slow twin of the updates of sampled rows: float64, row by row, step by step.

``dense`` feeds a gradient of 0 to the rows that are not sampled, which is what catching up must
come to; ``frozen`` leaves them; ``reset`` forgets the momentum of a row that missed a step.
"""

import numpy as np
from reference.partial_fc import step


def train(weight, batches, target, scale, rule, mode, wd, momentum=0.9):
    """Return weights after steps (embeddings, labels, index, lr), each with momentum or moments."""
    w = np.array(weight, np.float64)
    v, m, counts = np.zeros_like(w), np.zeros_like(w), np.zeros(len(w), int)
    last = np.full(len(w), -1)
    for t, (x, labels, index, lr) in enumerate(batches):
        columns = [list(index).index(y) for y in labels]
        sampled = step(x, w[index], columns, 1, target, scale)["grad_weight"][0]
        gradient = np.zeros_like(w)
        gradient[index] = sampled
        rows = range(len(w)) if mode == "dense" else index
        for j in rows:
            g = gradient[j]
            if mode == "reset" and last[j] != t - 1:
                v[j] = 0.0
            last[j] = t
            if rule == "sgd":
                v[j] = momentum * v[j] - lr * (g + wd * w[j])
                w[j] = w[j] + v[j]
            elif rule == "nag":  # MXNet's: the weight is written first, and read again
                d = lr * (g + wd * w[j])
                w[j] = w[j] + momentum * (momentum * v[j] - d) - d
                v[j] = momentum * v[j] - lr * (g + wd * w[j])
            else:
                counts[j] += 1
                m[j] = 0.9 * m[j] + 0.1 * g
                v[j] = 0.999 * v[j] + 0.001 * g * g
                rate = lr * np.sqrt(1 - 0.999 ** counts[j]) / (1 - 0.9 ** counts[j])
                w[j] = w[j] - rate * m[j] / (np.sqrt(v[j]) + 1e-8) - lr * wd * w[j]
    return w, v, m, counts
