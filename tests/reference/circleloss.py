"""Slow twin of CircleLoss."""

from reference._softmax_loss import general_softmax

CASES = [{}, {"margin": 0.4, "scale": 64.0}]


def run(embeddings, weight, labels, margin=0.25, scale=256.0, strength=1.0, **kwargs):
    def target(row):
        factor = row.hold("target", max(0.0, 1 + margin - row.c))
        value = factor * (row.c - (1 - margin))
        return row.c + strength * (value - row.c), 1 + strength * (factor - 1)

    def others(row, c):
        row.seen = getattr(row, "seen", 0) + 1
        factor = row.hold(row.seen, max(0.0, c + margin))
        return c + strength * (factor * (c - margin) - c), 1 + strength * (factor - 1)

    return general_softmax(embeddings, weight, labels, target, scale, others=others, **kwargs)
