"""Slow twin of L2-Softmax."""

from reference._softmax_loss import general_softmax

CASES = [{}, {"scale": 12.0}]


def run(embeddings, weight, labels, scale=40.0, strength=1.0, **kwargs):
    return general_softmax(
        embeddings, weight, labels, lambda row: (row.c, 1.0), scale, unit_w=False, **kwargs
    )
