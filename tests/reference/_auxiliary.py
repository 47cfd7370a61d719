"""What the slow float64 twins of the auxiliary losses share. Gradients are of the mean loss."""

import numpy as np


def unit_rows(x):
    return np.array([row / np.linalg.norm(row) if row.any() else row * 0.0 for row in x])


def through_unit_rows(x, grad):
    """Turn the gradient by unit rows into the gradient by the rows."""
    result = np.zeros_like(x)
    for i, row in enumerate(x):
        length = np.linalg.norm(row)
        if length > 0:
            u = row / length
            result[i] = (grad[i] - u * (u @ grad[i])) / length
    return result


def move_centers(centers, x, labels, alpha):
    """Return the centres after the centre loss's own update."""
    centers = centers.copy()
    for j in sorted(set(labels.tolist())):
        members = x[labels == j]
        delta = sum(centers[j] - row for row in members) / (1 + len(members))
        centers[j] = centers[j] - alpha * delta
    return centers


def log_softmax(z):
    top = z.max()
    return z - top - np.log(np.exp(z - top).sum())
