"""Slow twin of MV-Softmax."""

from reference._softmax_loss import general_softmax
from reference.svx import target_of

CASES = [
    *({"kind": kind, "mode": mode} for kind in ("am", "arc") for mode in ("adaptive", "fixed")),
    {"kind": "softmax"},
    {"policy": "none", "t": 0.5},
]


def run(
    embeddings, weight, labels, kind="arc", margin=None, t=0.2, scale=32.0, policy="hard",
    mode="adaptive", strength=1.0, **kwargs,
):  # fmt: skip
    t = strength * t

    def others(row, c):
        if c <= row.target:
            return c, 1.0
        return ((1 + t) * c + t, 1 + t) if mode == "adaptive" else (c + t, 1.0)

    return general_softmax(
        embeddings,
        weight,
        labels,
        lambda row: target_of(row, kind, margin, policy, strength),
        scale,
        others=others,
        **kwargs,
    )
