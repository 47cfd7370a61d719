"""A small head with all classes in every step, a batch for it, and a rank without others."""

import numpy as np

from gluonface._compat import mx
from gluonface.loss import get_loss
from gluonface.parallel import Local, PartialFC

nd = mx.nd


def batch(n=8, classes=50, size=16, seed=0):
    rng = np.random.default_rng(seed)
    return nd.array(rng.normal(size=(n, size))), rng.integers(0, classes, n)


def head_of(loss="arcface", classes=50, size=16, **kwargs):
    return PartialFC(get_loss(loss), classes, size, **kwargs)


class Rank(Local):
    """A rank of several, for what needs no collective."""

    def __init__(self, rank, size):
        self.rank, self.size = rank, size
