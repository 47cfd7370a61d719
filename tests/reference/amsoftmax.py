"""Slow twin of AM-Softmax."""

from reference import cosface

CASES = [{}, {"margin": 0.2}]


def run(embeddings, weight, labels, margin=0.35, scale=30.0, **kwargs):
    return cosface.run(embeddings, weight, labels, margin=margin, scale=scale, **kwargs)
