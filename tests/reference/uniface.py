"""Slow twin of UniFace's unified cross entropy."""

from reference._binary_loss import binary_sum

CASES = [{}, {"margin": 0.1, "weight": 0.5}, {"scale": 512.0}]


def run(
    embeddings, centers, labels, margin=0.4, scale=64.0, weight=1.0, strength=1.0, bias=(0.0,),
    **kwargs,
):  # fmt: skip
    return binary_sum(
        embeddings,
        centers,
        labels,
        lambda c: (c - strength * margin, 1.0),
        lambda c: (c, 1.0),
        scale,
        1.0,
        weight,
        bias,
        -1.0,
        **kwargs,
    )
