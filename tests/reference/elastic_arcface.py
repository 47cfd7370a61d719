"""Slow twin of ElasticFace-Arc; the drawn margins are those of the package."""

from reference import combined
from reference._elastic import elastic

CASES = [{}, {"order": "plus"}, {"policy": "none", "std": 0.2, "margin": 0.3, "seed": 7}]


def run(
    embeddings, weight, labels, margin=0.5, std=None, order="random", seed=0, scale=64.0,
    policy="hard", strength=1.0, **kwargs,
):  # fmt: skip
    def target(c, m):
        return combined.target(c, 1.0, m, 0.0, policy, strength)

    std = {"random": 0.05, "plus": 0.0175}[order] if std is None else std
    return elastic(embeddings, weight, labels, target, margin, std, order, seed, scale, **kwargs)
