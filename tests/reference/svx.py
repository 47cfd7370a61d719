"""Slow twin of SV-Softmax and SV-X-Softmax."""

from reference import combined
from reference._softmax_loss import general_softmax

CASES = [
    *({"kind": kind} for kind in ("softmax", "am", "arc")),
    {"kind": "arc", "policy": "none", "margin": 0.35},
    {"t": 1.5},
]


def target_of(row, kind, margin, policy, strength):
    if kind == "softmax":
        return row.c, 1.0
    if kind == "am":
        return row.c - strength * (0.35 if margin is None else margin), 1.0
    return combined.target(row.c, 1.0, 0.5 if margin is None else margin, 0.0, policy, strength)


def run(
    embeddings, weight, labels, kind="arc", margin=None, t=1.2, scale=30.0, policy="hard",
    strength=1.0, **kwargs,
):  # fmt: skip
    t = 1 + strength * (t - 1)

    def others(row, c):
        return (t * c + t - 1, t) if c > row.target else (c, 1.0)

    return general_softmax(
        embeddings,
        weight,
        labels,
        lambda row: target_of(row, kind, margin, policy, strength),
        scale,
        others=others,
        **kwargs,
    )
