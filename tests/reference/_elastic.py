"""What the twins of ElasticFace share: margins of a step, and the softmax with one a row."""

import numpy as np
from reference._softmax_loss import general_softmax, target_scores


def drawn(count, margin, std, seed, step):
    """Return the margins of a step: Box and Muller's method on the bits of Philox(seed, step)."""
    generator = np.random.Philox(key=np.array([seed, step], np.uint64))
    found = []
    for _ in range(count):
        u, v = ((int(generator.random_raw()) // 2048 + 0.5) / 2**53 for _ in range(2))
        found.append(margin + std * np.sqrt(-2 * np.log(u)) * np.cos(2 * np.pi * v))
    return found


def elastic(
    embeddings, weight, labels, target, margin, std, order, seed, scale, state=None, training=True,
    frozen=None, **kwargs,
):  # fmt: skip
    step = (state or {"step": 0.0})["step"] + training
    margins = drawn(len(labels), margin, std, seed, int(step))
    if order == "plus":
        cosines = target_scores(embeddings, weight, labels)
        largest_first = sorted(margins, reverse=True)
        hardest_first = sorted(range(len(labels)), key=lambda i: (cosines[i], i))
        for m, i in zip(largest_first, hardest_first):
            margins[i] = m
    out = general_softmax(
        embeddings,
        weight,
        labels,
        lambda row: target(row.c, row.hold("margin", margins[row.i])),
        scale,
        frozen=frozen,
        **kwargs,
    )
    return {**out, "state": {"step": step}}
