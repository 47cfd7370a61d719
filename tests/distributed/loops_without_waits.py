"""Train heads as a user would, 50 steps of forward, backward and update, and never wait.

    loops_without_waits.py LOSS,LOSS,... [local|horovod [STEPS]]

Prints the last loss of each. A head whose backward pass waits for an update that waits for it
hangs here.
"""

import sys

import numpy as np

from gluonface._compat import mx
from gluonface.parallel import Horovod, Local, PartialFC

CLASSES, SIZE, BATCH, CHUNK = 2000, 32, 32, 300


def train(name, comm, number, steps, **options):
    net = mx.gluon.nn.Dense(SIZE, in_units=SIZE)
    net.initialize()
    head = PartialFC(name, CLASSES, SIZE, comm=comm, name=f"head{number}", **options)
    parameters = {**net.collect_params(), **head.collect_params()}
    trainer = mx.gluon.Trainer(parameters, "sgd", {"learning_rate": 0.01}, kvstore=None)
    if head.updates_itself:
        head.set_optimizer("sgd", momentum=0.9)
    rng = np.random.default_rng(comm.rank)
    for _ in range(steps):
        images = mx.nd.array(rng.normal(size=(BATCH, SIZE)))
        with mx.autograd.record():
            loss = head(net(images), rng.integers(0, CLASSES, BATCH)).mean()
        loss.backward()
        trainer.step(1)
        if head.updates_itself:
            head.update(0.01)
    return float(loss.asscalar())


def main(names, parallel="local", steps="50"):
    comm = Horovod() if parallel == "horovod" else Local()
    number = 0
    for name in names.split(","):
        for chunk in (None, CHUNK):
            for sample_rate in (1.0, 0.5):
                last = train(name, comm, number, int(steps), chunk=chunk, sample_rate=sample_rate)
                assert np.isfinite(last)
                number += 1
                if comm.rank == 0:
                    sys.stdout.write(f"{name} chunk={chunk} sample_rate={sample_rate}: {last}\n")


main(*sys.argv[1:])
