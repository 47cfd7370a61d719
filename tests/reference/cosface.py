"""Slow twin of CosFace."""

from reference._softmax_loss import margin_softmax

CASES = [{}, {"margin": 0.4}, {"scale": 30.0}, {"margin": 0.4, "scale": 512.0}]


def target(cosine, margin=0.35, strength=1.0):
    return cosine - strength * margin, 1.0


def run(embeddings, weight, labels, margin=0.35, scale=64.0, strength=1.0, **kwargs):
    return margin_softmax(
        embeddings, weight, labels, lambda c: target(c, margin, strength), scale, **kwargs
    )
