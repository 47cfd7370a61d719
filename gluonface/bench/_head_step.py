"""Time and memory of whole steps of a classifier on one or several ranks, with lower bounds."""

import dataclasses
import itertools
import os
import pathlib
import statistics
import time

from ..errors import InputError

__all__ = ["measure_step", "process_size", "report", "report_plan", "report_ratio"]

LEARNING_RATE = 0.1
TURNS = 8  # steps and products that take turns for their ratio: the machine may be busy
GIB = 2**30


def measure_step(
    loss="cosface",
    classes=1_000_000,
    embedding_size=512,
    batch_size=64,
    sample_rate=0.1,
    steps=20,
    parallel="local",
    centers="memory",
    centers_path=None,
    optimizer="sgd",
    wire_dtype="float32",
    chunk=None,
):
    """Time forward, backward and update of a classifier, embeddings given, on every rank.

    Parameters
    ----------
    loss : str
    classes, embedding_size : int
    batch_size : int
        Of each rank.
    sample_rate : float
    steps : int
        Steps that count, after three that do not.
    parallel : {"local", "horovod"}
    centers, centers_path, wire_dtype, chunk
        As of `PartialFC`.
    optimizer : {"sgd", "nag", "adamw"}
        Momentum 0.9, weight decay 5e-4.

    Returns
    -------
    dict
        `seconds` (median), `best`, `images_per_second`; `products`, seconds of the three matrix
        products alone, and `time_ratio`, of steps that took turns with them; `cpu`, `best_cpu`,
        `products_cpu`, `cpu_ratio`, the same of CPU time; `peak`, `resident` (bytes, the largest of
        all ranks), `floor`, `memory_ratio`, `planned`, all of one rank; `process`, its size
        before there is a head, and `head_ratio`, of what came after to the floor; `peak_all_ranks`;
        `sent` and `planned_sent`, bytes of a rank and step; the first is None on one rank;
        `rank`, `ranks`, `sampled`, `start_seconds`.
    """
    import numpy as np

    from .._compat import mx
    from ..head import PartialFC
    from ..head.memory_estimate import FIRST_USE, estimate_head
    from ..loss import get_loss
    from ..parallel import Horovod, Local

    for name, value in (("batch size", batch_size), ("number of steps", steps)):
        if value < 1:
            raise InputError(f"the {name} is {value}; expected at least 1")
    comm = _Counted(Horovod() if parallel == "horovod" else Local())
    plan = estimate_head(
        classes,
        embedding_size,
        batch_size * comm.size,
        comm.size,
        sample_rate,
        optimizer,
        centers,
        wire_dtype,
        chunk,
        lazy=get_loss(loss).family == "binary",
        two_anchors=get_loss(loss).uses_bank,
    )
    process, start = process_size(), time.perf_counter()
    plan = dataclasses.replace(plan, process=round(process) + FIRST_USE)
    margin = get_loss(loss)
    head = PartialFC(
        margin,
        classes,
        embedding_size,
        sample_rate=sample_rate,
        comm=comm,
        centers=centers,
        centers_path=centers_path,
        wire_dtype=wire_dtype,
        chunk=chunk,
        updates_itself=True if margin.family == "binary" else None,  # as a training run does
    )
    update = _updater(mx, head, optimizer)
    comm.barrier("bench.made")
    start_seconds = time.perf_counter() - start
    rng = np.random.default_rng(comm.rank)
    x = mx.nd.array(rng.normal(size=(batch_size, embedding_size)))
    x.attach_grad()

    def step():
        labels = rng.integers(0, classes, batch_size)
        begin, cpu = time.perf_counter(), time.process_time()
        with mx.autograd.record():
            total = head(x, labels).sum() / (batch_size * comm.size)
        total.backward()
        x.grad.wait_to_read()
        update()
        mx.nd.waitall()
        return time.perf_counter() - begin, time.process_time() - cpu

    for _ in range(3):
        step()
    comm.barrier("bench.begin")
    before = comm.sent
    times, cpu = zip(*(step() for _ in range(steps)))
    sent = (comm.sent - before) / steps if comm.size > 1 else None
    peak, resident = _status("VmHWM"), _status("VmRSS")
    sampled = head.class_centers.sampled
    products = _products(mx, comm, batch_size * comm.size, embedding_size, sampled)
    turns = [(*step(), *products()) for _ in range(min(steps, TURNS) + 1)]
    turns = [statistics.median(column) for column in zip(*turns[1:])]
    figures = [peak, resident, process, *turns, statistics.median(cpu), min(cpu)]
    figures = mx.nd.array(figures, dtype="float64")
    most = comm.allreduce(figures, "max", "bench.most").asnumpy().tolist()
    total = comm.allreduce(figures, "sum", "bench.total").asnumpy().tolist()
    peak, resident, process, *turns, cpu, best_cpu = most
    seconds = statistics.median(times)
    return {
        "loss": loss,
        "classes": classes,
        "embedding_size": embedding_size,
        "batch_size": batch_size,
        "sample_rate": sample_rate,
        "centers": centers,
        "optimizer": optimizer,
        "wire_dtype": wire_dtype,
        "rank": comm.rank,
        "ranks": comm.size,
        "sampled": sampled,
        "start_seconds": start_seconds,
        "seconds": seconds,
        "best": min(times),
        "images_per_second": batch_size * comm.size / seconds,
        "products": turns[2],
        "time_ratio": turns[0] / turns[2],
        "cpu": cpu,
        "best_cpu": best_cpu,
        "products_cpu": turns[3],
        "cpu_ratio": turns[1] / turns[3],
        "peak": peak,
        "resident": resident,
        "peak_all_ranks": total[0],
        "floor": plan.floor,
        "memory_ratio": peak / plan.floor,
        "process": process,
        "head_ratio": (peak - process) / plan.floor,
        "planned": plan.memory,
        "sent": sent,
        "planned_sent": plan.sent,
    }


def process_size():
    """Return the memory in bytes of this process with MXNet and its threads, without a head."""
    from .._compat import mx

    mx.nd.zeros((1,)).wait_to_read()
    return _status("VmRSS")


def _updater(mx, head, optimizer):
    """Return a function that updates the head, by itself or by a Gluon trainer."""
    decay = {"momentum": 0.9} if optimizer in ("sgd", "nag") else {}
    if head.updates_itself:
        head.set_optimizer(optimizer, wd=5e-4, **decay)
        return lambda: head.update(LEARNING_RATE)
    if optimizer == "adamw":
        from ..training import optimizers  # noqa: F401  (registers it with MXNet)
    trainer = mx.gluon.Trainer(
        head.collect_params(),
        optimizer,
        {"learning_rate": LEARNING_RATE, "wd": 5e-4, **decay},
        kvstore=None,
    )
    return lambda: trainer.step(1)


def _products(mx, comm, total, size, sampled):
    """Return a function that times the three matrix products of a step, on all ranks at a time.

    It returns seconds and CPU time.
    """
    from ..head.array_operations import dense, dense_gradients

    x, w = mx.nd.ones((total, size)), mx.nd.ones((sampled, size))
    grad, out = mx.nd.ones((total, sampled)), mx.nd.empty((sampled, size))
    turn = itertools.count()

    def products():
        mx.nd.waitall()
        comm.barrier(f"bench.products{next(turn)}")
        begin, cpu = time.perf_counter(), time.process_time()
        dense(x, w)
        dense_gradients(grad, x, w, out)
        mx.nd.waitall()
        return time.perf_counter() - begin, time.process_time() - cpu

    return products


def _status(name):
    """Return a size of this process in bytes."""
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return 1024.0 * int(line.split()[1])
    return float("nan")


class _Counted:
    """A communicator that counts the bytes a rank sends, by the ring algorithms Horovod uses.

    Only arrays are counted, not the messages by which Horovod's processes coordinate.
    """

    def __init__(self, comm):
        self._comm, self.sent = comm, 0.0
        self.rank, self.size, self.local_rank = comm.rank, comm.size, comm.local_rank

    def _count(self, array, times):
        share = (self.size - 1) / self.size
        self.sent += times * share * array.size * array.dtype(0).itemsize

    def allreduce(self, x, op="sum", name=None):
        self._count(x, 2)
        return self._comm.allreduce(x, op, name)

    def allgather(self, x, name=None):
        found = self._comm.allgather(x, name)
        self._count(found, 1)
        return found

    def reducescatter(self, x, name=None):
        self._count(x, 1)
        return self._comm.reducescatter(x, name)

    def broadcast(self, x, root=0, name=None):
        return self._comm.broadcast(x, root, name)

    def barrier(self, name=None):
        self._comm.barrier(name)


def report(result):
    """Return the result of `measure_step` as text."""
    r = dict(result)
    sent = f"{r['planned_sent'] / 1024:8.0f} KiB planned"
    if r["sent"] is not None:
        sent = (
            f"{r['sent'] / 1024:8.0f} KiB in a step, arrays of its collectives; planned "
            f"{r['planned_sent'] / 1024:.0f}, {_percent(r['planned_sent'], r['sent'])}"
        )
    return (
        f"head alone, {r['loss']}, C={r['classes']}, D={r['embedding_size']}, batch "
        f"{r['batch_size']} per rank, {r['ranks']} rank{'s' * (r['ranks'] > 1)}, sample rate "
        f"{r['sample_rate']:g}, centres: {r['centers']}, {r['optimizer']}, "
        f"OMP_NUM_THREADS={os.environ.get('OMP_NUM_THREADS')}\n"
        f"{'step':24}{r['seconds']:8.3f} s   (best {r['best']:.3f}), "
        f"{r['images_per_second']:.0f} images/s\n"
        f"{'three matrix products':24}{r['products']:8.3f} s   the step is "
        f"{r['time_ratio']:.2f} times that\n"
        f"{'CPU time of a rank':24}{r['cpu']:8.3f} s   (best {r['best_cpu']:.3f}), "
        f"{r['cpu_ratio']:.2f} times that of the products\n"
        f"{'peak memory of a rank':24}{r['peak'] / GIB:8.2f} GiB (all ranks together "
        f"{r['peak_all_ranks'] / GIB:.2f}; now resident {r['resident'] / GIB:.2f})\n"
        f"{'before the head':24}{r['process'] / GIB:8.2f} GiB (Python, MXNet, Horovod)\n"
        f"{'weights, state, copies':24}{r['floor'] / GIB:8.2f} GiB the peak is "
        f"{r['memory_ratio']:.2f} times that, the head alone {r['head_ratio']:.2f} times\n"
        f"{'planned memory':24}{r['planned'] / GIB:8.2f} GiB {_percent(r['planned'], r['peak'])}\n"
        f"{'sent by a rank':24}{sent}\n"
        f"{'start':24}{r['start_seconds']:8.1f} s\n"
    )


def report_ratio(result, first):
    """Return time and memory of a result over those of the first one, as text."""
    time, cpu, memory = (result[key] / first[key] for key in ("best", "best_cpu", "peak"))
    return (
        f"{'against ' + first['loss']:24}{time:8.2f} times its best step, {cpu:.2f} times its CPU "
        f"time, {memory:.2f} times its peak memory\n"
    )


def _percent(planned, measured):
    return f"{100 * (planned / measured - 1):+.1f} % of what was measured"


def report_plan(plan, classes, embedding_size, batch, ranks, sample_rate):
    """Return a `HeadEstimate` as text."""
    where = "on disk" if plan.on_disk else "in memory"
    lines = [
        f"plan of a head: C={classes}, D={embedding_size}, {batch} images in a step, {ranks} "
        f"rank{'s' * (ranks > 1)}, sample rate {sample_rate:g}",
        f"a rank has {plan.rows} classes, of which {plan.sampled} take part in a step",
    ]
    for name, value in (
        (f"class centres, {where}", plan.weight),
        (f"optimizer state, {where}", plan.state),
        *([(f"embedding banks, {where}", plan.banks)] if plan.banks else []),
        ("sampled rows, gradients", plan.copies),
        ("logits", plan.logits),
        ("embeddings", plan.embeddings),
        ("Python, MXNet, here", plan.process),
        ("memory of a rank", plan.memory),
    ):
        lines.append(f"  {name:28}{value / GIB:10.3f} GiB")
    lines.append(f"a rank sends {plan.sent / 2**20:.3f} MiB in a step, and receives as much:")
    lines += [f"  {name:28}{value / 2**20:10.3f} MiB" for name, value in plan.wire.items()]
    return "\n".join(lines) + "\n"
