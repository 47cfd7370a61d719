"""Slow twin of LVFace's loss with two anchors, and of its bank."""

import numpy as np
from reference._softmax_loss import kept_classes, through_unit, unit

CASES = [
    {},
    {"form": "shared"},
    {"bank": "frozen", "bank_margin": 0.1},
    {"form": "shared", "bank": "frozen", "margin": 0.2, "scale": 30.0},
    {"scale": 512.0},
]


def log_sum(values):
    """Return log of the sum of exp of some numbers, -inf of none."""
    top = max(values, default=-np.inf)
    return top if top == -np.inf else top + np.log(sum(np.exp(v - top) for v in values))


def update(bank, embeddings, labels, moving=True):
    """Return the bank (C, D) after a batch. Rows of zeros are classes not seen yet."""
    bank = np.array(bank, np.float64)
    for y in sorted(set(labels)):
        mean = unit(sum(unit(x) for x, label in zip(embeddings, labels) if label == y))
        if not bank[y].any():
            bank[y] = mean
        elif moving:
            share = 1.0 / (1.0 + np.exp(-(unit(bank[y]) @ mean)))
            bank[y] = share * bank[y] + (1.0 - share) * mean
    return bank


def run(
    embeddings, weight, labels, margin=0.4, bank_margin=0.4, scale=64.0, form="bank", bank="moving",
    strength=1.0, bank_rows=None, index=None, shift=None, weights=None, filter_above=None,
    frozen=None, smoothing=0.0, training=True,
):  # fmt: skip
    """Return losses, gradients and the bank; `index` are the classes of the step.

    `shift` (C,) is added to the logits of the other classes in both sums.
    """
    assert smoothing == 0.0
    x, w = np.asarray(embeddings, np.float64), np.asarray(weight, np.float64)
    n, classes = len(x), len(w)
    weights = np.full(n, 1.0 / n) if weights is None else np.asarray(weights, np.float64)
    index = range(classes) if index is None else index
    shift = np.zeros(classes) if shift is None else shift
    e = np.zeros_like(w) if bank_rows is None else np.asarray(bank_rows, np.float64)
    if frozen is not None:
        e = frozen
    elif training:
        e = update(e, x, labels, bank == "moving")
    unit_w, unit_e = (np.array([unit(row) for row in rows]) for rows in (w, e))
    seen = e.any(axis=1)
    losses, grad_x, grad_unit_w = np.empty(n), np.zeros_like(x), np.zeros_like(w)
    for i, y in enumerate(labels):
        c, ce = (np.clip(rows @ unit(x[i]), -1.0, 1.0) for rows in (unit_w, unit_e))
        grad_c, grad_e = np.zeros(classes), np.zeros(classes)
        near = kept_classes(c, y, filter_above)
        others = [j for j in index if j != y and j in near]
        logits = [scale * c[j] + shift[j] for j in others]
        term_w = log_sum(logits) - scale * (c[y] - strength * margin)
        own = scale * (ce[y] - strength * bank_margin)
        if form == "bank":
            near = kept_classes(ce, y, filter_above)
            banked = [j for j in index if j != y and j in near and seen[j]]
            logits_e = [scale * ce[j] + shift[j] for j in banked]
        else:
            banked, logits_e = others, logits
        term_e = log_sum(logits_e) - own if seen[y] else -np.inf
        losses[i] = total = log_sum([0.0, term_w, term_e])
        a, b = np.exp(term_w - total), np.exp(term_e - total)
        for j, z in zip(others, logits):
            grad_c[j] += a * np.exp(z - log_sum(logits))
        for j, z in zip(banked, logits_e):
            (grad_e if form == "bank" else grad_c)[j] += b * np.exp(z - log_sum(logits_e))
        grad_c[y] -= a
        grad_e[y] -= b
        grad_c, grad_e = (scale * weights[i] * each for each in (grad_c, grad_e))
        grad_x[i] = through_unit(x[i], unit_w.T @ grad_c + unit_e.T @ grad_e)
        grad_unit_w += np.outer(grad_c, unit(x[i]))
    return {
        "loss": losses,
        "grad_embeddings": grad_x,
        "grad_weight": np.array([through_unit(*rows) for rows in zip(w, grad_unit_w)]),
        "bank": e,
        "frozen": e,
    }
