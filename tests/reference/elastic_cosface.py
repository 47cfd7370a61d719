"""Slow twin of ElasticFace-Cos; the drawn margins are those of the package."""

from reference._elastic import elastic

CASES = [{}, {"order": "plus"}, {"std": 0.0}]


def run(
    embeddings, weight, labels, margin=0.35, std=None, order="random", seed=0, scale=64.0,
    strength=1.0, **kwargs,
):  # fmt: skip
    std = {"random": 0.05, "plus": 0.02}[order] if std is None else std

    def target(c, m):
        return c - strength * m, 1.0

    return elastic(embeddings, weight, labels, target, margin, std, order, seed, scale, **kwargs)
