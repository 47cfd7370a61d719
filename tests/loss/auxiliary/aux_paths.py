"""What the tests of the auxiliary losses share."""

import importlib
import threading

import numpy as np
import pytest

from gluonface._compat import mx
from gluonface.loss.auxiliary import AUXILIARY, get_auxiliary

nd = mx.nd
LABELS = np.array([3, 0, 1, 0, 3, 2, 0, 1, 4, 3])  # unsorted, of every count from 1 to 3
CLASSES, SIZE = 6, 8


def twin_of(name):
    """Return the float64 twin of a registered loss; a loss without one fails here."""
    return importlib.import_module(f"reference.aux_{name}")


def names(kind):
    return [name for name in AUXILIARY.list() if AUXILIARY.get(name).kind == kind]


def cases(kind):
    """Return (loss, parameters) for every registered loss of a kind and every case of its twin."""
    return [
        pytest.param(name, params, id=f"{name}-" + "-".join(f"{k}{v}" for k, v in params.items()))
        for name in names(kind)
        for params in twin_of(name).CASES
    ]


def batch(seed=0, labels=LABELS):
    """Return embeddings and labels, and the twin's random generator after them."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(len(labels), SIZE)) * 1.5, labels


def state_of(name, classes=CLASSES, size=SIZE, seed=7):
    twin = twin_of(name)
    return twin.state(np.random.default_rng(seed), classes, size) if hasattr(twin, "state") else {}


def ready(name, params, state=None, comm=None, classes=CLASSES, size=SIZE):
    """Return a loss initialised for the classes, with a state."""
    loss = get_auxiliary(name, **params).initialize(classes, size, comm=comm)
    state = state_of(name, classes, size) if state is None else state
    if state:
        loss.load_state_dict(state)
    return loss


def differentiate(compute, *inputs, params=None):
    """Return (losses, gradients of their mean by the inputs, by parameters) as NumPy."""
    arrays = [nd.array(values, dtype="float32") for values in inputs]
    for array in arrays:
        array.attach_grad()
    with mx.autograd.record():
        loss = compute(*arrays)
        mean = loss.mean()
    mean.backward()
    learned = {key: p.grad().asnumpy() for key, p in (params or {}).items()}
    return loss.asnumpy(), [array.grad.asnumpy() for array in arrays], learned


def close(got, want, rtol, scale=None):
    """Assert closeness relative to the array's largest entry: float32 sums are no better."""
    want = np.asarray(want)
    largest = np.abs(want).max() if scale is None else scale
    np.testing.assert_allclose(got, want, rtol=rtol, atol=rtol * largest)


class Board:
    """Where the stand-ins for several ranks meet."""

    def __init__(self, size):
        self.size, self.barrier, self.slots = size, threading.Barrier(size, timeout=60), {}


class Stand:
    """A rank among threads of one process."""

    def __init__(self, board, rank):
        self.board, self.rank, self.local_rank, self.size = board, rank, rank, board.size

    def allgather(self, x, name=None):
        self.board.slots[name, self.rank] = x.asnumpy()
        self.board.barrier.wait()
        parts = [self.board.slots[name, rank] for rank in range(self.size)]
        self.board.barrier.wait()
        return nd.array(np.concatenate(parts), dtype=parts[0].dtype)


def on_ranks(size, work):
    """Return [work(comm) of each rank], run side by side."""
    board, results, errors = Board(size), [None] * size, []

    def run(rank):
        try:
            results[rank] = work(Stand(board, rank))
        except Exception as error:  # shown by the test below
            errors.append(error)
            board.barrier.abort()

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results
