"""Started by test_two_ranks.py in two processes: every loss on this rank's half of a batch."""

import pathlib
import sys

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1]), str(HERE.parents[2])]

from aux_paths import CLASSES, SIZE, batch  # noqa: E402

from gluonface._compat import mx  # noqa: E402
from gluonface.loss.auxiliary import AUXILIARY, Auxiliaries  # noqa: E402
from gluonface.parallel import Horovod, Local  # noqa: E402

SPLIT = 4  # of ten samples, so that the ranks have different numbers
# Those that a head computes have tests of their own.
ENTRIES = {n: {} for n in AUXILIARY.list() if AUXILIARY.get(n).kind not in ("logits", "memory")}
TEACHER = 5  # another size than the student's: the matrix between them is learned


def run(comm, rows, total):
    """Return the gradients, values and states after two steps on some rows of the batch."""
    x, labels = batch()
    several = Auxiliaries(ENTRIES, CLASSES, SIZE, comm, teacher_size=TEACHER)
    teacher = np.cos(x[:, :TEACHER] * 2.0)[rows]
    for _ in range(2):
        embedding = mx.nd.array(x[rows])
        embedding.attach_grad()
        with mx.autograd.record():
            head = embedding.square().sum(axis=1)
            distill = lambda tau, e=embedding: e.square().sum(axis=1) / tau  # noqa: E731
            losses, extra = several(head, embedding, labels[rows], teacher, distill)
            objective = losses.sum() / total + extra
        objective.backward()
    learned = {f"grad/{k}": p.grad().asnumpy() for k, p in several.collect_params().items()}
    state = {f"state/{k}": v for k, v in several.state_dict().items()}
    return {"grad": embedding.grad.asnumpy(), "extra": extra.asnumpy(), **learned, **state}


def alone():
    return run(Local(), slice(None), len(batch()[0]))


if __name__ == "__main__":
    world = Horovod()
    mine = slice(0, SPLIT) if world.rank == 0 else slice(SPLIT, None)
    np.savez(f"{sys.argv[1]}/{world.rank}.npz", **run(world, mine, len(batch()[0])))
