"""Slow twin of the plain softmax."""

import numpy as np
from reference._softmax_loss import cross_entropy

CASES = [{}]


def run(embeddings, weight, labels, bias=None, strength=1.0, smoothing=0.0, weights=None):
    """Return logits, losses and the gradients of ``sum(weights * losses)`` (default: the mean)."""
    x, w = np.asarray(embeddings, np.float64), np.asarray(weight, np.float64)
    bias = np.zeros(len(w)) if bias is None else np.asarray(bias, np.float64)
    weights = np.full(len(x), 1.0 / len(x)) if weights is None else weights
    logits = np.empty((len(x), len(w)))
    losses, grad_z = np.empty(len(x)), np.empty_like(logits)
    for i, label in enumerate(labels):
        logits[i] = w @ x[i] + bias
        losses[i], grad_z[i] = cross_entropy(logits[i], label, smoothing)
        grad_z[i] *= weights[i]
    return {
        "logits": logits,
        "loss": losses,
        "grad_embeddings": grad_z @ w,
        "grad_weight": grad_z.T @ x,
        "grad_bias": grad_z.sum(0),
    }
