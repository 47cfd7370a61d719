"""Slow twin of the range loss."""

import itertools

import numpy as np

CASES = [
    {"alpha": 0.5, "beta": 0.25, "margin": 60.0},
    {"alpha": 0.5, "beta": 0.25, "margin": 6.0, "squared": False, "k": 1},
    {"alpha": 1.0, "beta": 0.0, "k": 3},
    {"alpha": 0.0, "beta": 1.0},
]


def distance(a, b, squared):
    """Return a distance and its gradient by `a`."""
    apart = a - b
    square = apart @ apart
    if squared:
        return square, 2 * apart
    return np.sqrt(square), apart / np.sqrt(square) if square > 0 else apart * 0.0


def run(x, labels, state, alpha=5e-5, beta=1e-4, k=2, margin=2e4, squared=True):
    x, labels = np.asarray(x, np.float64), np.asarray(labels)
    intra, inter, grad, members = 0.0, 0.0, np.zeros_like(x), []
    for label in sorted(set(labels.tolist())):
        rows = np.flatnonzero(labels == label)
        members.append(rows)
        pairs = [(*distance(x[a], x[b], squared), a, b) for a, b in itertools.combinations(rows, 2)]
        pairs = sorted(pairs, key=lambda entry: -entry[0])[:k]
        if pairs:
            total = sum(1.0 / entry[0] for entry in pairs)
            intra += len(pairs) / total
            for d, slope, a, b in pairs:
                by_d = len(pairs) / total**2 / d**2
                grad[a] += alpha * by_d * slope
                grad[b] -= alpha * by_d * slope
    if len(members) > 1:
        means = [x[rows].mean(axis=0) for rows in members]
        best = min(
            itertools.combinations(range(len(members)), 2),
            key=lambda ab: distance(means[ab[0]], means[ab[1]], squared)[0],
        )
        d, slope = distance(means[best[0]], means[best[1]], squared)
        inter = max(0.0, margin - d)
        if inter > 0:
            for place, sign in zip(best, (1, -1)):
                rows = members[place]
                grad[rows] -= sign * beta * slope / len(rows)
    return {
        "loss": np.array([alpha * intra + beta * inter]),
        "grad_x": grad,
        "intra": intra,
        "inter": inter,
        "state": {},
    }
