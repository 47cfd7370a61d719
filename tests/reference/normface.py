"""Slow twin of the normalised softmax."""

from reference._softmax_loss import margin_softmax

CASES = [{}, {"scale": 64.0}]


def target(cosine, strength=1.0, **params):
    return cosine, 1.0


def run(embeddings, weight, labels, scale=30.0, strength=1.0, **kwargs):
    return margin_softmax(embeddings, weight, labels, target, scale, **kwargs)
