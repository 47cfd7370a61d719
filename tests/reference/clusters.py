"""The slow twins of clustering and of its measures."""

import itertools
import math

import numpy as np


def whispers(units, threshold, seed, k=64, rounds=20):
    """Chinese whispers on the exact graph, with dicts."""
    units = np.asarray(units, np.float64)
    scores = (units[:, None] * units[None]).sum(axis=2)
    near = {i: {} for i in range(len(units))}
    for i in near:
        others = [j for j in near if j != i and scores[i, j] > threshold]
        for j in sorted(others, key=lambda j: (-scores[i, j], j))[:k]:
            near[i][j] = near[j][i] = float(np.float32(scores[i, j]))
    weight = {
        (i, j): c * (1 + len(near[i].keys() & near[j].keys())) * math.log1p(len(near[j]))
        for i in near
        for j, c in near[i].items()
    }
    labels, rng = {i: i for i in near}, np.random.default_rng(seed)
    for _ in range(rounds):
        before = dict(labels)
        for i in rng.permutation(len(units)).tolist():
            heard = {}
            for j in sorted(near[i]):
                heard[labels[j]] = heard.get(labels[j], 0.0) + weight[i, j]
            if heard:
                labels[i] = min(heard, key=lambda label: (-heard[label], label))
        if labels == before:
            break
    return [labels[i] for i in range(len(units))]


def measures(person, cluster):
    """Return pair P, R, F, BCubed P, R, F and NMI by their definitions."""
    n = len(person)
    together = [(person[i] == person[j], cluster[i] == cluster[j])
                for i, j in itertools.combinations(range(n), 2)]  # fmt: skip
    both = sum(a and b for a, b in together)
    of_clusters, of_people = sum(b for _, b in together), sum(a for a, _ in together)
    pair = [both / of_clusters if of_clusters else 1.0, both / of_people if of_people else 1.0]
    bcubed = [0.0, 0.0]
    for i in range(n):
        own = {j for j in range(n) if cluster[j] == cluster[i]}
        same = {j for j in range(n) if person[j] == person[i]}
        bcubed[0] += len(own & same) / len(own) / n
        bcubed[1] += len(own & same) / len(same) / n

    def entropy(labels):
        return -sum(
            labels.count(x) / n * math.log(labels.count(x) / n) for x in dict.fromkeys(labels)
        )

    pairs = list(zip(person, cluster))
    information = entropy(list(person)) + entropy(list(cluster)) - entropy(pairs)
    mean = (entropy(list(person)) + entropy(list(cluster))) / 2
    nmi = information / mean if mean else 1.0
    return [*pair, _f(*pair), *bcubed, _f(*bcubed), nmi]


def _f(p, r):
    return 2 * p * r / (p + r) if p + r else 0.0
