"""Float64, sample by sample: the binary loss that UniFace, BCE and SphereFace2 share."""

import numpy as np
from reference._softmax_loss import kept_classes, through_unit, unit


def softplus(z):
    return np.log1p(np.exp(-abs(z))) + max(z, 0.0)


def sigmoid(z):
    return np.exp(-softplus(-z))


def detached(values, key, f, c, exact):
    """Return f(c) and its slope; or with the slope 1, and f held where it first was."""
    value, slope = f(c)
    if exact:
        return value, slope
    value, at = values.setdefault(key, (value, c))
    return value + (c - at), 1.0


def binary_sum(
    embeddings, weight, labels, own, rest, scale, positive, negative, bias, sign, *, exact=True,
    weights=None, column_weight=None, filter_above=None, frozen=None, smoothing=0.0,
):  # fmt: skip
    """Return logits, losses and the gradients of ``sum(weights * losses)`` (default: the mean).

    ``own(c)`` and ``rest(c)`` give a logit without scale and bias, and its slope.
    """
    assert smoothing == 0.0
    x, w = np.asarray(embeddings, np.float64), np.asarray(weight, np.float64)
    n, classes = len(x), len(w)
    weights = np.full(n, 1.0 / n) if weights is None else np.asarray(weights, np.float64)
    factors = np.ones(classes) if column_weight is None else column_weight
    bias = np.asarray(bias, np.float64)
    biases = np.broadcast_to(bias, classes)
    unit_w = np.array([unit(row) for row in w])
    logits, losses, values = np.empty((n, classes)), np.zeros(n), dict(frozen or {})
    grad_x, grad_unit_w, grad_bias = np.zeros_like(x), np.zeros_like(w), np.zeros(classes)
    for i, y in enumerate(labels):
        cosine = np.clip(unit_w @ unit(x[i]), -1.0, 1.0)
        kept, grad_c = kept_classes(cosine, y, filter_above), np.zeros(classes)
        for j in range(classes):
            value, slope = detached(values, (i, j), own if j == y else rest, cosine[j], exact)
            z = logits[i, j] = scale * value + sign * biases[j]
            if j == y:
                loss, by_z = positive * softplus(-z), -positive * sigmoid(-z)
            elif j in kept:
                factor = negative * factors[j]
                loss, by_z = factor * softplus(z), factor * sigmoid(z)
            else:
                continue
            losses[i] += loss
            grad_c[j] = weights[i] * by_z * scale * slope
            grad_bias[j] += weights[i] * by_z * sign
        grad_x[i] = through_unit(x[i], unit_w.T @ grad_c)
        grad_unit_w += np.outer(grad_c, unit(x[i]))
    return {
        "logits": logits,
        "loss": losses,
        "grad_embeddings": grad_x,
        "grad_weight": np.array([through_unit(*rows) for rows in zip(w, grad_unit_w)]),
        "grad_bias": grad_bias if len(bias) > 1 or classes == 1 else grad_bias.sum(keepdims=True),
        "frozen": values,
    }
