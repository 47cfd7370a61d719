"""Several ranks in one process: a thread each, which meet at every collective."""

import threading

import numpy as np

from gluonface._compat import mx
from gluonface.parallel import Local

nd = mx.nd


class World:
    """The meeting place of the ranks, which are matched by the collective's name.

    Sums are in the order of ranks, so runs repeat exactly.
    """

    def __init__(self, size):
        self.size = size
        self.changed = threading.Condition()
        self.boxes, self.count, self.broken = {}, {}, False
        self.calls = []

    def exchange(self, rank, name, array):
        """Return what every rank brought to its n-th collective of this name."""
        value = array.asnumpy()
        with self.changed:
            n = self.count[rank, name] = self.count.get((rank, name), 0) + 1
            box = self.boxes.setdefault((name, n), {})
            box[rank] = value
            if rank == 0:
                self.calls.append((name, value.shape))
            self.changed.notify_all()
            self.changed.wait_for(lambda: self.broken or len(box) == self.size, timeout=300)
        assert len(box) == self.size, f"rank {rank} waited in vain at {name}, call {n}"
        return [box[r] for r in range(self.size)]

    def abandon(self):
        """Let nobody wait any more: a rank has failed."""
        with self.changed:
            self.broken = True
            self.changed.notify_all()


class Simulated:
    """The communicator of one rank of a `World`."""

    local_rank, waiting = 0, Local.waiting

    def __init__(self, world, rank):
        self.world, self.rank, self.size = world, rank, world.size

    def _exchange(self, x, name):
        assert name
        return self.world.exchange(self.rank, name, x)

    def allreduce(self, x, op="sum", name=None):
        found = self._exchange(x, name)
        return nd.array({"sum": sum, "max": max}[op](found), dtype=x.dtype)

    def allgather(self, x, name=None):
        return nd.array(np.concatenate(self._exchange(x, name)), dtype=x.dtype)

    def reducescatter(self, x, name=None):
        total = sum(self._exchange(x, name))
        return nd.array(np.array_split(total, self.size)[self.rank], dtype=x.dtype)

    def broadcast(self, x, root=0, name=None):
        return nd.array(self._exchange(x, name)[root], dtype=x.dtype)

    def barrier(self, name=None):
        self._exchange(nd.zeros((1,)), name)


def on_ranks(size, work):
    """Return what ``work(comm)`` gives on each of `size` ranks, and the collectives of rank 0."""
    world, results, errors = World(size), [None] * size, []

    def run(rank):
        try:
            results[rank] = work(Simulated(world, rank))
        except Exception as error:
            errors.append(error)
            world.abandon()

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results, world.calls
