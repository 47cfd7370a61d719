"""Slow twin of ArcFace: the combined margin with m1 = 1 and m3 = 0."""

from reference import combined
from reference._softmax_loss import margin_softmax

CASES = [{}, *({"policy": policy} for policy in ("easy", "none", "psi")), {"margin": 1.2}]


def target(cosine, margin=0.5, policy="hard", strength=1.0):
    return combined.target(cosine, 1.0, margin, 0.0, policy, strength)


def run(embeddings, weight, labels, margin=0.5, scale=64.0, policy="hard", strength=1.0, **kwargs):
    return margin_softmax(
        embeddings, weight, labels, lambda c: target(c, margin, policy, strength), scale, **kwargs
    )
