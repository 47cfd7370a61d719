"""Float64, sample by sample: the softmax loss that all margin twins share, and its gradients."""

import numpy as np


def unit(v):
    norm = np.sqrt((v * v).sum())
    return v / norm if norm > 0 else v * 0.0


def through_unit(v, grad):
    """Turn the gradient by v/|v| into the gradient by v."""
    norm = np.sqrt((v * v).sum())
    if norm == 0:
        return v * 0.0
    u = v / norm
    return (grad - u * (u @ grad)) / norm


def cross_entropy(z, label, smoothing=0.0):
    """Return the loss of one row of logits and its gradient by them."""
    top = z.max()
    lse = np.log(np.exp(z - top).sum()) + top
    q = np.full(len(z), smoothing / max(1, len(z) - 1))
    q[label] = 1.0 - smoothing
    return (q * (lse - z)).sum(), np.exp(z - lse) * q.sum() - q


def margin_softmax(embeddings, weight, labels, target, scale, smoothing=0.0, weights=None):
    """Return logits, losses and the gradients of ``sum(weights * losses)`` (default: the mean).

    `target(cosine)` gives the margined cosine of a sample's own class and its derivative.
    """
    x, w = np.asarray(embeddings, np.float64), np.asarray(weight, np.float64)
    n = len(x)
    weights = np.full(n, 1.0 / n) if weights is None else np.asarray(weights, np.float64)
    unit_w = np.array([unit(row) for row in w])
    logits, losses = np.empty((n, len(w))), np.empty(n)
    grad_x, grad_unit_w = np.zeros_like(x), np.zeros_like(w)
    for i, label in enumerate(labels):
        cosine = np.clip(unit_w @ unit(x[i]), -1.0, 1.0)
        value, slope = target(cosine[label])
        z, dz = scale * cosine, np.full(len(w), float(scale))
        z[label], dz[label] = scale * value, scale * slope
        losses[i], grad_z = cross_entropy(z, label, smoothing)
        grad_c = weights[i] * grad_z * dz
        grad_x[i] = through_unit(x[i], unit_w.T @ grad_c)
        grad_unit_w += np.outer(grad_c, unit(x[i]))
        logits[i] = z
    grad_w = np.array([through_unit(*rows) for rows in zip(w, grad_unit_w)])
    return {"logits": logits, "loss": losses, "grad_embeddings": grad_x, "grad_weight": grad_w}
