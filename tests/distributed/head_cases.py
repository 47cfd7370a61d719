"""The cases of `two_ranks.py` and `test_two_ranks.py`: what is computed, on however many ranks."""

import numpy as np

from gluonface._compat import mx
from gluonface.loss import get_loss
from gluonface.parallel import PartialFC

nd = mx.nd
# name -> (loss, classes, label smoothing, samples of rank 0 and of rank 1)
CASES = {
    "arcface": ("arcface", 1003, 0.0, (8, 8)),
    "smooth": ("cosface", 1003, 0.1, (8, 8)),
    "bias": ("softmax", 301, 0.0, (8, 8)),
    "uneven": ("arcface", 301, 0.1, (5, 3)),
    "one_class": ("cosface", 1, 0.0, (2, 2)),  # rank 1 owns none
    "one_shard": ("arcface", 300, 0.0, (4, 4)),  # all labels on rank 1
    "curricularface": ("curricularface", 301, 0.0, (6, 6)),
    "adaface": ("adaface", 301, 0.0, (6, 6)),
    "adacos": ("adacos", 301, 0.0, (5, 6)),
    "uniface": ("uniface", 301, 0.0, (5, 6)),
    "uniface_one": ("uniface", 1, 0.0, (2, 2)),  # rank 1 owns no class, but has the bias
    "bce": ("bce", 301, 0.0, (6, 6)),
    "elastic": ("elastic_arcface", 301, 0.0, (5, 6)),
    "lvface": ("lvface", 21, 0.0, (5, 6)),  # few classes: most are in both steps
    "lvface_one": ("lvface", 1, 0.0, (2, 2)),  # rank 1 owns no class and no row
}


def data(name):
    """Return embeddings and labels of all ranks, and weights of the losses."""
    _, classes, _, sizes = CASES[name]
    rng = np.random.default_rng(len(name))
    low = classes // 2 if name == "one_shard" else 0
    n = sum(sizes)
    x = rng.normal(size=(n, 16)).astype("f")
    return x, rng.integers(low, classes, n), np.linspace(0.5, 1.5, n).astype("f") / n


def run(name, comm, rows):
    """Train two steps on the samples `rows`; return arrays of this rank."""
    loss, classes, smoothing, _ = CASES[name]
    head = PartialFC(get_loss(loss), classes, 16, comm=comm, label_smoothing=smoothing, name=name)
    trainer = None
    parameters = head.collect_params()
    if list(parameters.keys()):
        trainer = mx.gluon.Trainer(
            parameters, "sgd", {"learning_rate": 0.1, "momentum": 0.9}, kvstore=None
        )
    x, labels, weights = data(name)
    x, labels, weights = nd.array(x[rows]), labels[rows], nd.array(weights[rows])
    x.attach_grad()
    out = {}
    for step in range(2):
        with mx.autograd.record():
            losses = head(x, labels)
            total = (losses * weights).sum()
        total.backward()
        if trainer is not None:
            trainer.step(1, ignore_stale_grad=True)
        out[f"loss{step}"], out[f"grad{step}"] = losses.asnumpy(), x.grad.asnumpy()
        out[f"stats{step}"] = np.array([head.stats()[key] for key in sorted(head.stats())])
    out["centers"] = head.get_centers()
    for key, bank in head.banks.items():
        out[f"rows_{key}"] = np.array(bank.rows())
    state = {
        k: v for k, v in sorted(head.state_dict().items()) if k.startswith(("state_", "shared_"))
    }
    out["state"] = np.array(list(state.values()))
    return out
