"""Slow twin of sub-centre ArcFace."""

from reference import combined
from reference._softmax_loss import general_softmax

CASES = [{}, {"subcenters": 2, "policy": "none"}, {"subcenters": 1}]


def run(
    embeddings, weight, labels, margin=0.5, scale=64.0, policy="hard", subcenters=3, strength=1.0,
    **kwargs,
):  # fmt: skip
    return general_softmax(
        embeddings,
        weight,
        labels,
        lambda row: combined.target(row.c, 1.0, margin, 0.0, policy, strength),
        scale,
        k=subcenters,
        **kwargs,
    )
