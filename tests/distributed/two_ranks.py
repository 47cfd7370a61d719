"""Run by `horovodrun -np 2`: the head's cases and the collectives. Writes RANK.npz to argv[1]."""

import pathlib
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import head_cases

from gluonface._compat import mx
from gluonface.errors import InputError
from gluonface.loss import get_loss
from gluonface.parallel import Horovod, PartialFC

nd = mx.nd


def collectives(comm):
    """Return what every collective makes of a small array."""
    x = nd.arange(6).reshape((3, 2)) + 10 * comm.rank
    out = {
        op: comm.allreduce(x, op, f"test.{op}").asnumpy() for op in ("sum", "mean", "max", "min")
    }
    out["gather"] = comm.allgather(x[: 1 + comm.rank], "test.gather").asnumpy()
    out["scatter"] = comm.reducescatter(x, "test.scatter").asnumpy()
    out["broadcast"] = comm.broadcast(x, 1, "test.broadcast").asnumpy()
    comm.barrier("test.barrier")
    try:
        comm.allreduce(x, "sum")
    except InputError:
        out["unnamed refused"] = np.array(1)
    return out


def main(folder, reference):
    comm = Horovod()
    found = {f"comm/{key}": value for key, value in collectives(comm).items()}
    for name, (*_, sizes) in head_cases.CASES.items():
        first = sum(sizes[: comm.rank])
        rows = slice(first, first + sizes[comm.rank])
        for key, value in head_cases.run(name, comm, rows).items():
            found[f"{name}/{key}"] = value
    path = pathlib.Path(reference) / "pfc_k2_cosface_r100.npz"
    if path.exists():
        data = np.load(path, allow_pickle=False)
        head = PartialFC(
            get_loss("cosface", margin=data["m"].item(), scale=data["s"].item()),
            *data["weight0"].shape,
            comm=comm,
            name="reference",
        )
        head.set_centers(data["weight0"])
        rows = slice(8 * comm.rank, 8 * comm.rank + 8)
        x = nd.array(data["embeddings_step0"][rows])
        x.attach_grad()
        with mx.autograd.record():
            loss = head(x, data["labels_step0"][rows])
            total = loss.sum() / 16
        total.backward()
        found["reference/loss"], found["reference/grad"] = loss.asnumpy(), x.grad.asnumpy()
        found["reference/grad_weight"] = head.weight.grad().asnumpy()
    found["rank"] = np.array([comm.rank, comm.size, comm.local_rank])
    np.savez(pathlib.Path(folder) / f"{comm.rank}.npz", **found)


main(*sys.argv[1:])
