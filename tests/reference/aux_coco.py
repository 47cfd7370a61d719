"""Slow twin of the COCO loss: the normalised softmax over centres of its own."""

from reference._softmax_loss import margin_softmax

CASES = [{}, {"scale": 6.25}]


def state(rng, classes, size):
    return {"centers": rng.normal(size=(classes, size))}


def run(x, labels, state, scale=12.0):
    out = margin_softmax(x, state["centers"], labels, lambda cosine: (cosine, 1.0), scale)
    return {
        "loss": out["loss"],
        "grad_x": out["grad_embeddings"],
        "grad_centers": out["grad_weight"],
        "state": state,
    }
