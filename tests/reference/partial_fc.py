"""Slow twin of one step of the sharded classifier: all ranks in one process, class by class.

Independent of the losses' twins' shortcut: here each rank sees its own classes only, and what it
knows of the rest comes through sums and maxima over the ranks.
"""

import numpy as np
from reference._softmax_loss import through_unit, unit


def shards(num_classes, ranks):
    """Return the class range of every rank: as equal as can be, the longer ones first."""
    sizes = [len(part) for part in np.array_split(np.arange(num_classes), ranks)]
    stops = np.cumsum(sizes)
    return [(int(stop) - size, int(stop)) for size, stop in zip(sizes, stops)]


def step(embeddings, weight, labels, ranks, target, scale):
    """Return losses and gradients of the global mean loss, per rank as the head holds them.

    `embeddings` and `labels` are those of all ranks in rank order.
    """
    x = np.array([unit(row) for row in np.asarray(embeddings, np.float64)])
    total = len(x)
    own, tops, slopes = np.zeros(total), [], np.zeros(total)
    logits = []
    for start, stop in shards(len(weight), ranks):
        w = np.array([unit(row) for row in weight[start:stop]]).reshape(stop - start, x.shape[1])
        z = scale * np.clip(x @ w.T, -1, 1)
        for i, label in enumerate(labels):
            if start <= label < stop:
                value, slopes[i] = target(z[i, label - start] / scale)
                own[i] = z[i, label - start] = scale * value
        logits.append(z)
        tops.append(z.max(axis=1, initial=-np.inf))
    top = np.max(tops, axis=0)
    spread = sum(np.exp(z - top[:, None]).sum(axis=1) for z in logits)
    grad_x, grad_weight, partial = np.zeros_like(x), [], []
    for (start, stop), z in zip(shards(len(weight), ranks), logits):
        g = scale * np.exp(z - top[:, None]) / spread[:, None] / total
        for i, label in enumerate(labels):
            if start <= label < stop:
                g[i, label - start] = (g[i, label - start] - scale / total) * slopes[i]
        rows = weight[start:stop]
        w = np.array([unit(row) for row in rows]).reshape(stop - start, x.shape[1])
        by_w = g.T @ x
        grad_weight.append(
            np.array([through_unit(*pair) for pair in zip(rows, by_w)]).reshape(by_w.shape)
        )
        partial.append(g @ w)
        grad_x += partial[-1]
    grad_x = np.array([through_unit(*pair) for pair in zip(np.asarray(embeddings), grad_x)])
    return {
        "loss": np.log(spread) + top - own,
        "grad_embeddings": grad_x,
        "grad_weight": grad_weight,
    }
