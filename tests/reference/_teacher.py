"""What the slow float64 twins of the distillation losses share. Gradients are of the mean loss."""

import numpy as np


def huber(a):
    """Return Huber's function with delta 1 and its derivative."""
    return (0.5 * a * a, a) if abs(a) < 1 else (abs(a) - 0.5, np.sign(a))


def directions(x):
    """Return x_j - x_i over its length (N, N, D), and 1 over the lengths; 0 for equal rows."""
    n = len(x)
    e, inverse = np.zeros((n, n, x.shape[1])), np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            square = ((x[j] - x[i]) ** 2).sum()
            if square > 1e-12:
                inverse[i, j] = square**-0.5
                e[i, j] = (x[j] - x[i]) * inverse[i, j]
    return e, inverse
