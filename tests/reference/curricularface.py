"""Slow twin of CurricularFace."""

from reference import combined
from reference._softmax_loss import general_softmax, target_scores

CASES = [{}, {"margin": 0.3, "share": 0.5}, {"policy": "none"}]


def run(
    embeddings, weight, labels, margin=0.5, scale=64.0, share=0.01, policy="hard", strength=1.0,
    state=None, training=True, **kwargs,
):  # fmt: skip
    t = (state or {"t": 0.0})["t"]
    if training:
        t = share * target_scores(embeddings, weight, labels).mean() + (1 - share) * t

    def others(row, c):
        if c <= row.target:
            return c, 1.0
        return c + strength * (c * (t + c) - c), 1 + strength * (t + 2 * c - 1)

    out = general_softmax(
        embeddings,
        weight,
        labels,
        lambda row: combined.target(row.c, 1.0, margin, 0.0, policy, strength),
        scale,
        others=others,
        **kwargs,
    )
    return {**out, "state": {"t": t}}
