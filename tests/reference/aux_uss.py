"""Slow twin of USS: samples against the last embedding of each class."""

import numpy as np
from reference._binary_loss import sigmoid, softplus
from reference._softmax_loss import kept_classes, through_unit, unit

CASES = [{}, {"margin": 0.3}, {"scale": 512.0}]


def remember(memory, embeddings, labels):
    """Return the memory (C, D) after a batch, of unit length."""
    memory = np.array([unit(row) for row in np.asarray(memory, np.float64)])
    for x, y in zip(embeddings, labels):
        memory[y] = unit(np.asarray(x, np.float64))
    return memory


def first_bias(embeddings, memory, labels, scale=64.0, index=None, column_weight=None):
    """Return the mean of log sum exp(s c_j) over the other classes in the step that were seen."""
    found = []
    for x, y in zip(embeddings, labels):
        terms = [
            scale * (unit(memory[j]) @ unit(x))
            + np.log(1.0 if column_weight is None else column_weight[j])
            for j in (range(len(memory)) if index is None else index)
            if j != y and memory[j].any()
        ]
        if terms:
            found.append(max(terms) + np.log(sum(np.exp(t - max(terms)) for t in terms)))
    return float(np.mean(found))


def run(
    embeddings, memory, labels, bias, margin=0.1, scale=64.0, strength=1.0, index=None,
    column_weight=None, filter_above=None, weights=None,
):  # fmt: skip
    """Return losses and gradients. Rows of zeros of the memory are classes not seen yet."""
    x, e = np.asarray(embeddings, np.float64), np.asarray(memory, np.float64)
    n, classes = len(x), len(e)
    weights = np.full(n, 1.0 / n) if weights is None else weights
    factors = np.ones(classes) if column_weight is None else column_weight
    unit_e = np.array([unit(row) for row in e])
    losses, grad_x, grad_bias = np.zeros(n), np.zeros_like(x), 0.0
    for i, y in enumerate(labels):
        cosine, grad_c = np.clip(unit_e @ unit(x[i]), -1.0, 1.0), np.zeros(classes)
        near = kept_classes(cosine, y, filter_above)
        for j in range(classes) if index is None else index:
            if not e[j].any() or j not in near:
                continue
            if j == y:
                z = scale * (cosine[j] - strength * margin) - bias
                losses[i] += softplus(-z)
                by_z = -sigmoid(-z)
            else:
                z = scale * cosine[j] - bias
                losses[i] += factors[j] * softplus(z)
                by_z = factors[j] * sigmoid(z)
            grad_c[j] = weights[i] * scale * by_z
            grad_bias -= weights[i] * by_z
        grad_x[i] = through_unit(x[i], unit_e.T @ grad_c)
    return {"loss": losses, "grad_embeddings": grad_x, "grad_bias": np.array([grad_bias])}
