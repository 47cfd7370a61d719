"""Slow twin of evaluation-oriented distillation."""

import numpy as np
from reference._auxiliary import through_unit_rows, unit_rows

CASES = [{"hardest": 6}, {"hardest": 6, "temperature": 0.1, "positive": 1.0}]
RATES = [10, 100, 1000, 10**4, 10**5, 10**6]


def state(rng, classes, size):
    first = np.sort(rng.uniform(-0.2, 0.9, (2, 6)), axis=1)
    return {"anchors": first, "started": np.float64(1.0)}


def sigmoid(a):
    return 1.0 / (1.0 + np.exp(-np.clip(a, -700, 700)))


def run(
    x,
    teacher,
    labels,
    state,
    positive=0.02,
    negative=0.01,
    hardest=2000,
    temperature=0.01,
    momentum=0.01,
):
    x = np.asarray(x, np.float64)
    units = unit_rows(x), unit_rows(np.asarray(teacher, np.float64))
    pairs = [(i, j) for i in range(len(x)) for j in range(i + 1, len(x))]
    same = np.array([labels[i] == labels[j] for i, j in pairs])
    cosines = [np.array([u[i] @ u[j] for i, j in pairs]) for u in units]
    anchors, started = np.array(state["anchors"]), float(state["started"])
    if not same.all():
        for side in range(2):
            found = np.sort(cosines[side][~same])[::-1]
            batch = [found[len(found) // f if len(found) // f < len(found) else 0] for f in RATES]
            share = momentum if started else 1.0
            anchors[side] = (1 - share) * anchors[side] + share * np.array(batch)
        started = 1.0
    places = [(c[:, None] - a) / temperature for c, a in zip(cosines, anchors)]
    ranks = [sigmoid(p).sum(axis=1) for p in places]
    apart = ranks[0] - ranks[1]
    slope = (sigmoid(places[0]) * (1 - sigmoid(places[0]))).sum(axis=1) / temperature
    others = [p for p in np.argsort(-cosines[0], kind="stable") if not same[p]][:hardest]
    loss, by_cosine = 0.0, np.zeros(len(pairs))
    for weight, chosen in ((positive, np.flatnonzero(same)), (negative, others)):
        for p in chosen:
            loss += weight * apart[p] ** 2 / len(chosen)
            by_cosine[p] += weight * 2 * apart[p] * slope[p] / len(chosen)
    grad = np.zeros_like(x)
    for (i, j), g in zip(pairs, by_cosine):
        grad[i] += g * units[0][j]
        grad[j] += g * units[0][i]
    return {
        "loss": np.array([loss]),
        "grad_x": through_unit_rows(x, grad),
        "state": {"anchors": anchors, "started": np.float64(started)},
    }
