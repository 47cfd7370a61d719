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


def cross_entropy(z, label, smoothing=0.0, kept=None):
    """Return the loss of one row of logits and its gradient by them.

    Classes not in `kept` are as if they did not exist.
    """
    kept = np.arange(len(z)) if kept is None else kept
    top = z[kept].max()
    lse = np.log(np.exp(z[kept] - top).sum()) + top
    others = [j for j in kept if j != label]
    loss, grad = 0.0, np.zeros(len(z))
    for j in kept:
        own = 1.0 - smoothing if others else 1.0
        share = own if j == label else smoothing / len(others)
        loss += share * (lse - z[j])
        grad[j] = np.exp(z[j] - lse) - share
    return loss, grad


def kept_classes(cosines, label, above):
    """Return the classes whose cosine is not above `above`, and the own one."""
    return [j for j, c in enumerate(cosines) if j == label or above is None or c <= above]


def margin_softmax(
    embeddings, weight, labels, target, scale, smoothing=0.0, weights=None, filter_above=None
):  # fmt: skip
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
        kept = kept_classes(cosine, label, filter_above)
        losses[i], grad_z = cross_entropy(z, label, smoothing, kept)
        grad_c = weights[i] * grad_z * dz
        grad_x[i] = through_unit(x[i], unit_w.T @ grad_c)
        grad_unit_w += np.outer(grad_c, unit(x[i]))
        logits[i] = z
    grad_w = np.array([through_unit(*rows) for rows in zip(w, grad_unit_w)])
    return {"logits": logits, "loss": losses, "grad_embeddings": grad_x, "grad_weight": grad_w}


class Row:
    """What a loss may know of one sample, and what it makes of it.

    `c` is the target's cosine (or inner product), `norm` the embedding's length, `m` the learned
    margin of the target's class. `hold(key, value)` gives `value`, or what it was when the losses
    were first computed: what carries no gradient must not change under finite differences.
    """

    def __init__(self, i, c, norm, m, values):
        self.i, self.c, self.norm, self.m, self._values = i, c, norm, m, values

    def hold(self, key, value):
        return self._values.setdefault((key, self.i), value)


def scores_of(x, w, unit_x=True, unit_w=True, k=1):
    """Return scores (C,) of one embedding and, for each class, which of its k rows gave it."""
    x = unit(x) if unit_x else x
    rows = np.array([unit(row) for row in w]) if unit_w else w
    full = (rows @ x).reshape(-1, k)
    if unit_x and unit_w:
        full = np.clip(full, -1.0, 1.0)
    best = full.argmax(axis=1)
    return full[np.arange(len(full)), best], best + k * np.arange(len(full))


def target_scores(embeddings, weight, labels, **kwargs):
    """Return the target's score of every sample, (N,)."""
    x, w = np.asarray(embeddings, np.float64), np.asarray(weight, np.float64)
    return np.array([scores_of(row, w, **kwargs)[0][y] for row, y in zip(x, labels)])


def identity(row, c):
    return c, 1.0


def general_softmax(
    embeddings, weight, labels, target, scale=1.0, *, others=identity, unit_x=True, unit_w=True,
    k=1, bias=None, class_margin=None, norm_penalty=None, class_penalty=0.0, smoothing=0.0,
    weights=None, frozen=None, filter_above=None,
):  # fmt: skip
    """Return what `margin_softmax` does, for losses that know more than the target's cosine.

    ``target(row)`` gives the target's logit over the scale and its slopes by the cosine, the norm
    and the class margin (those left out are 0); ``others(row, c)`` another class's and its slope
    by c, and by the norm if that is not 0, `row.target` being the target's and `row.j` the class;
    ``norm_penalty(row)`` a term and its slope.
    `class_penalty` times the mean class margin is added to every loss. With `k` rows of `weight`
    for each class the largest score counts.
    """
    x, w = np.asarray(embeddings, np.float64), np.asarray(weight, np.float64)
    shape, w = w.shape, w.reshape(-1, x.shape[1])
    n, classes = len(x), len(w) // k
    weights = np.full(n, 1.0 / n) if weights is None else np.asarray(weights, np.float64)
    bias_of = np.zeros(classes) if bias is None else np.asarray(bias, np.float64)
    margins = np.zeros(classes) if class_margin is None else np.asarray(class_margin, np.float64)
    values = dict(frozen or {})
    logits, losses = np.empty((n, classes)), np.empty(n)
    grad_x, grad_rows = np.zeros_like(x), np.zeros_like(w)
    grad_bias, grad_margin = np.zeros(classes), np.zeros(classes)
    rows_used = np.array([unit(row) for row in w]) if unit_w else w
    for i, y in enumerate(labels):
        scores, used = scores_of(x[i], w, unit_x, unit_w, k)
        scores = scores + bias_of / scale
        norm = np.sqrt((x[i] ** 2).sum())
        row = Row(i, scores[y], norm, margins[y], values)
        row.target, *slopes = target(row)
        by_c, by_norm, by_m = [*slopes, 0.0, 0.0][:3]
        z, dz = np.empty(classes), np.empty(classes)
        more = np.zeros(classes)  # slopes of other classes by the norm
        for row.j in range(classes):
            j = row.j
            if j == y:
                z[j], dz[j] = row.target, by_c
            else:
                z[j], dz[j], more[j] = (*others(row, scores[j]), 0.0)[:3]
        logits[i] = scale * z
        kept = kept_classes(scores, y, filter_above)
        losses[i], grad_z = cross_entropy(logits[i], y, smoothing, kept)
        grad_z = grad_z * weights[i] * scale
        by_norm = by_norm * grad_z[y] + grad_z @ more
        if norm_penalty is not None:
            extra, slope = norm_penalty(row)
            losses[i] += extra
            by_norm += weights[i] * slope
        grad_margin[y] += grad_z[y] * by_m
        grad_c = grad_z * dz
        grad_bias += grad_c / scale
        inner = rows_used[used].T @ grad_c
        grad_x[i] = (through_unit(x[i], inner) if unit_x else inner) + by_norm * unit(x[i])
        np.add.at(grad_rows, used, np.outer(grad_c, unit(x[i]) if unit_x else x[i]))
    if class_margin is not None:
        losses = losses + class_penalty * margins.mean()
        grad_margin += weights.sum() * class_penalty / classes
    if unit_w:
        grad_rows = np.array([through_unit(*rows) for rows in zip(w, grad_rows)])
    return {
        "logits": logits,
        "loss": losses,
        "grad_embeddings": grad_x,
        "grad_weight": grad_rows.reshape(shape),
        "grad_bias": grad_bias,
        "grad_class_margin": grad_margin,
        "frozen": values,
    }
