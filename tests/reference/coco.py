"""Slow twin of COCO."""

from reference import normface

CASES = [{}, {"scale": 16.0}]


def run(embeddings, weight, labels, scale=6.25, **kwargs):
    return normface.run(embeddings, weight, labels, scale=scale, **kwargs)
